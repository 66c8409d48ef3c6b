targetScope = 'subscription'

@description('Name of the environment; part of every resource name.')
@minLength(1)
@maxLength(32)
param environmentName string

@description('Region of everything this template creates.')
@minLength(1)
param location string

@description('Object id of the person or pipeline that deploys; may then write the policy and read reports. Empty grants nothing.')
param principalId string = ''

@description('Kind of that principal.')
@allowed([
  'User'
  'Group'
  'ServicePrincipal'
])
param principalType string = 'User'

@description('Existing registries. Each: name, resourceGroup; optional: subscriptionId, abac (false), deletes (true), pushes (false), hears (true), inspects (true), topicName, topicResourceGroup, privateEndpoint (false). See docs/deploy.md.')
param registries array = []

@description('Create a new registry and care for it as well.')
param createRegistry bool = false

@description('Tier of the new registry.')
@allowed([
  'Basic'
  'Standard'
  'Premium'
])
param registrySku string = 'Standard'

@description('Role assignment mode of the new registry: true for "RBAC Registry + ABAC Repository Permissions".')
param registryAbac bool = true

@description('Public network access of the new registry. Disabled needs Premium and privateNetwork.')
@allowed([
  'Enabled'
  'Disabled'
])
param registryPublicNetworkAccess string = 'Enabled'

@description('Admin user of the new registry. The app never needs it.')
param registryAdminUser bool = false

@description('Days the new registry keeps deleted content for restoring (soft delete, preview); 0 switches it off.')
@minValue(0)
@maxValue(90)
param registrySoftDeleteDays int = 0

@description('Docker Hub user or organization account of the token. Empty: no replication to Docker Hub.')
param dockerHubUsername string = ''

@description('Docker Hub access token, kept in Key Vault. Empty leaves the stored one as it is.')
@secure()
param dockerHubToken string = ''

@description('A deleted vault cannot be purged for 7 days, nor its name used again. Once on, it stays on.')
param vaultPurgeProtection bool = true

@description('plan only reports; apply also deletes.')
@allowed([
  'plan'
  'apply'
])
param cleanupMode string = 'plan'

@description('When the nightly run starts: NCRONTAB with seconds, UTC.')
param nightlySchedule string = '0 0 2 * * *'

@description('When missed replications are looked for: NCRONTAB with seconds, UTC.')
param reconcileSchedule string = '0 30 * * * *'

@description('Queue that Event Grid fills.')
param eventsQueue string = 'registry-events'

@description('Queue of tags to replicate.')
param replicationQueue string = 'replications'

@description('Queue of repositories to clean.')
param cleanupQueue string = 'cleanups'

@description('Container of runs, plans and reports.')
param runsContainer string = 'steward-runs'

@description('Name of the policy document in the container policy.')
param policyBlobName string = 'policy.yaml'

@description('Days that runs and reports are kept.')
@minValue(7)
param runRetentionDays int = 180

@description('How long one invocation may work before it hands over to the next, in seconds; below the functionTimeout of host.json.')
@minValue(5)
@maxValue(3300)
param invocationSeconds int = 1200

@description('Pushes to one repository within so many seconds lead to one cleanup.')
@minValue(1)
@maxValue(86400)
param pushCleanupSeconds int = 300

@description('Parallel requests to one registry.')
@minValue(1)
@maxValue(64)
param registryThreads int = 16

@description('More app settings, or other values of those set here; see docs/settings.md. Secrets only as Key Vault references.')
param additionalSettings object = {}

@description('Where Event Grid delivers: the Storage queue, or the function on_registry_event (only once the code is deployed).')
@allowed([
  'StorageQueue'
  'AzureFunction'
])
param eventDelivery string = 'StorageQueue'

@description('Memory of one instance.')
@allowed([
  512
  2048
  4096
])
param instanceMemoryMB int = 2048

@description('Most instances at the same time.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('HTTP requests that one instance serves at the same time.')
@minValue(1)
@maxValue(1000)
param httpConcurrency int = 16

@description('Instances kept warm: [{ name: \'function:replicate_tag\', instanceCount: 1 }].')
param alwaysReady array = []

@description('Who gets the alerts by mail. Empty: alerts fire, nobody is told.')
param alertEmail string = ''

@description('Minutes after its push by which a replicated tag should be there; later ones raise an alert.')
@minValue(1)
@maxValue(1440)
param replicationLagMinutes int = 15

@description('Days that logs are kept.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('Largest amount of logs a day, in GB, as a number in a string; -1 for no limit.')
param logDailyCapGb string = '1'

@description('Put the app into a virtual network and close storage and Key Vault to all others.')
param privateNetwork bool = false

@description('Address space of the virtual network, /24 or larger.')
param addressPrefix string = '10.42.0.0/24'

@description('Public IPv4 addresses that still reach storage and Key Vault when privateNetwork is on.')
param operatorIpAddresses array = []

var abbreviations = loadJsonContent('./abbreviations.json')
var token = toLower(uniqueString(subscription().id, environmentName, location))
var groupName = '${abbreviations.resourceGroup}${environmentName}'
var registryName = '${abbreviations.containerRegistry}${token}'
var policyContainer = 'policy'
var tags = {
  'azd-env-name': environmentName
}

var newRegistry = {
  name: registryName
  resourceGroup: groupName
  abac: registryAbac
  privateEndpoint: privateNetwork && registrySku == 'Premium'
}
var targets = concat(createRegistry ? [newRegistry] : [], registries)

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: groupName
  location: location
  tags: tags
}

module identity './app/identity.bicep' = {
  name: 'identity'
  scope: group
  params: {
    name: '${abbreviations.identity}${token}'
    location: location
    tags: tags
  }
}

module monitoring './app/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    workspaceName: '${abbreviations.logAnalytics}${token}'
    componentName: '${abbreviations.applicationInsights}${token}'
    location: location
    tags: tags
    retentionDays: logRetentionDays
    dailyCapGb: logDailyCapGb
  }
}

module network './app/network.bicep' = if (privateNetwork) {
  name: 'network'
  scope: group
  params: {
    name: '${abbreviations.virtualNetwork}${token}'
    natGatewayName: '${abbreviations.natGateway}${token}'
    publicIpName: '${abbreviations.publicIp}${token}'
    location: location
    tags: tags
    addressPrefix: addressPrefix
  }
}

module storage './app/storage.bicep' = {
  name: 'storage'
  scope: group
  params: {
    name: '${abbreviations.storageAccount}${token}'
    location: location
    tags: tags
    queues: [
      eventsQueue
      replicationQueue
      cleanupQueue
    ]
    runsContainer: runsContainer
    policyContainer: policyContainer
    runRetentionDays: runRetentionDays
    privateNetwork: privateNetwork
    operatorIpAddresses: operatorIpAddresses
  }
}

module vault './app/vault.bicep' = {
  name: 'vault'
  scope: group
  params: {
    name: '${abbreviations.keyVault}${token}'
    location: location
    tags: tags
    dockerHubToken: dockerHubToken
    purgeProtection: vaultPurgeProtection
    privateNetwork: privateNetwork
    operatorIpAddresses: operatorIpAddresses
  }
}

module registry './app/registry.bicep' = if (createRegistry) {
  name: 'registry'
  scope: group
  params: {
    name: registryName
    location: location
    tags: tags
    sku: registrySku
    abac: registryAbac
    publicNetworkAccess: registryPublicNetworkAccess
    adminUser: registryAdminUser
    softDeleteDays: registrySoftDeleteDays
    workspaceId: monitoring.outputs.workspaceId
  }
}

module appRoles './app/rbac.bicep' = {
  name: 'roles-app'
  scope: group
  params: {
    grant: 'app'
    principalId: identity.outputs.principalId
    storageAccountName: storage.outputs.name
    vaultName: vault.outputs.name
    componentName: monitoring.outputs.componentName
  }
}

module operatorRoles './app/rbac.bicep' = if (!empty(principalId)) {
  name: 'roles-operator'
  scope: group
  params: {
    grant: 'operator'
    principalId: principalId
    principalType: principalType
    storageAccountName: storage.outputs.name
    policyContainer: policyContainer
    runsContainer: runsContainer
    deadLetterContainer: storage.outputs.deadLetterContainer
  }
}

module sources './app/source.bicep' = [
  for (target, i) in targets: {
    name: 'source-${i}'
    scope: resourceGroup(target.?subscriptionId ?? subscription().subscriptionId, target.resourceGroup)
    params: {
      registryName: target.name
      abac: target.?abac ?? false
      deletes: target.?deletes ?? true
      pushes: target.?pushes ?? false
      hears: target.?hears ?? true
      inspects: target.?inspects ?? true
      identityPrincipalId: identity.outputs.principalId
      newTopicName: '${abbreviations.systemTopic}${target.name}'
      existingTopicName: target.?topicName ?? ''
      topicResourceGroup: target.?topicResourceGroup ?? target.resourceGroup
      storageSubscriptionId: subscription().subscriptionId
      storageResourceGroup: groupName
      storageAccountName: storage.outputs.name
      eventsQueue: eventsQueue
      deadLetterContainer: storage.outputs.deadLetterContainer
    }
    dependsOn: [
      registry
    ]
  }
]

module site './app/site.bicep' = {
  name: 'site'
  scope: group
  params: {
    name: '${abbreviations.functionApp}${token}'
    planName: '${abbreviations.flexPlan}${token}'
    location: location
    tags: tags
    identityName: identity.outputs.name
    storageAccountName: storage.outputs.name
    deploymentContainer: storage.outputs.deploymentContainer
    componentName: monitoring.outputs.componentName
    subnetId: privateNetwork ? network!.outputs.functionsSubnetId : ''
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    httpConcurrency: httpConcurrency
    alwaysReady: alwaysReady
    registries: [
      for (target, i) in targets: {
        loginServer: sources[i].outputs.loginServer
        inspectedId: sources[i].outputs.inspectedId
      }
    ]
    dockerHubUsername: dockerHubUsername
    dockerHubTokenUri: vault.outputs.dockerHubTokenUri
    cleanupMode: cleanupMode
    nightlySchedule: nightlySchedule
    reconcileSchedule: reconcileSchedule
    eventsQueue: eventsQueue
    replicationQueue: replicationQueue
    cleanupQueue: cleanupQueue
    runsContainer: runsContainer
    policyBlob: '${policyContainer}/${policyBlobName}'
    pushCleanupSeconds: pushCleanupSeconds
    invocationSeconds: invocationSeconds
    registryThreads: registryThreads
    additionalSettings: additionalSettings
  }
  dependsOn: [
    appRoles
    endpoints
  ]
}

module subscriptions './app/subscription.bicep' = [
  for (target, i) in targets: {
    name: 'subscription-${i}'
    scope: resourceGroup(
      target.?subscriptionId ?? subscription().subscriptionId,
      target.?topicResourceGroup ?? target.resourceGroup
    )
    params: {
      hears: target.?hears ?? true
      topicName: sources[i].outputs.topicName
      name: 'registry-steward-${token}'
      delivery: eventDelivery
      siteId: site.outputs.id
      storageAccountId: storage.outputs.id
      eventsQueue: eventsQueue
      deadLetterContainer: storage.outputs.deadLetterContainer
    }
  }
]

module endpoints './app/endpoints.bicep' = if (privateNetwork) {
  name: 'endpoints'
  scope: group
  params: {
    namePrefix: abbreviations.privateEndpoint
    location: location
    tags: tags
    subnetId: network!.outputs.endpointsSubnetId
    zones: network!.outputs.zones
    storageAccountName: storage.outputs.name
    vaultName: vault.outputs.name
    registryIds: [
      for (target, i) in targets: (target.?privateEndpoint ?? false) ? sources[i].outputs.registryId : ''
    ]
  }
}

module alerts './app/alerts.bicep' = {
  name: 'alerts'
  scope: group
  params: {
    actionGroupName: '${abbreviations.actionGroup}${token}'
    namePrefix: 'steward-${environmentName}'
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
    componentId: monitoring.outputs.componentId
    storageAccountId: storage.outputs.id
    topicIds: [for (target, i) in targets: sources[i].outputs.topicId]
    email: alertEmail
    replicationLagMinutes: replicationLagMinutes
  }
}

output AZURE_LOCATION string = location
output AZURE_RESOURCE_GROUP string = group.name
output FUNCTION_APP_NAME string = site.outputs.name
output FUNCTION_APP_URL string = site.outputs.url
output IDENTITY_CLIENT_ID string = identity.outputs.clientId
output KEY_VAULT_NAME string = vault.outputs.name
output STORAGE_ACCOUNT_NAME string = storage.outputs.name
output POLICY_BLOB string = '${policyContainer}/${policyBlobName}'
output REGISTRY_LOGIN_SERVERS array = [for (target, i) in targets: sources[i].outputs.loginServer]
