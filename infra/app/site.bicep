param name string
param planName string
param location string
param tags object
param identityName string
param storageAccountName string
param deploymentContainer string
param componentName string

@description('Subnet of the app; empty for none.')
param subnetId string
param instanceMemoryMB int
param maximumInstanceCount int
param httpConcurrency int
param alwaysReady array

@description('Login servers; inspectedId is the resource id of those whose own policies are looked at, else empty.')
param registries array
param dockerHubUsername string
param dockerHubTokenUri string
param cleanupMode string
param nightlySchedule string
param reconcileSchedule string
param eventsQueue string
param replicationQueue string
param cleanupQueue string
param runsContainer string
param policyBlob string
param pushCleanupSeconds int
param invocationSeconds int
param registryThreads int
param additionalSettings object

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: identityName
}

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: storageAccountName
}

resource component 'Microsoft.Insights/components@2020-02-02' existing = {
  name: componentName
}

// As many threads as the host sends messages or requests at once: what waits for one loses its functionTimeout.
var queues = loadJsonContent('../../host.json').extensions.queues
var threads = max(httpConcurrency, queues.batchSize + queues.newBatchThreshold)

// The names are the host's own.
var hostSettings = {
  AzureWebJobsStorage__blobServiceUri: account.properties.primaryEndpoints.blob
  AzureWebJobsStorage__queueServiceUri: account.properties.primaryEndpoints.queue
  AzureWebJobsStorage__tableServiceUri: account.properties.primaryEndpoints.table
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identity.properties.clientId
  APPLICATIONINSIGHTS_CONNECTION_STRING: component.properties.ConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identity.properties.clientId};Authorization=AAD'
  PYTHON_THREADPOOL_THREAD_COUNT: string(threads)
}

var inspected = filter(registries, each => !empty(each.inspectedId))
var inspectedIds = toObject(inspected, each => each.loginServer, each => each.inspectedId)

// docs/settings.md describes these.
var stewardSettings = {
  ACR_LOGIN_SERVERS: join(map(registries, each => each.loginServer), ',')
  ACR_RESOURCE_IDS: string(inspectedIds)
  AZURE_RESOURCE_MANAGER_ENDPOINT: environment().resourceManager
  AZURE_CLIENT_ID: identity.properties.clientId
  StewardStorage__blobServiceUri: account.properties.primaryEndpoints.blob
  StewardStorage__queueServiceUri: account.properties.primaryEndpoints.queue
  StewardStorage__credential: 'managedidentity'
  StewardStorage__clientId: identity.properties.clientId
  EVENTS_QUEUE: eventsQueue
  REPLICATION_QUEUE: replicationQueue
  CLEANUP_QUEUE: cleanupQueue
  NIGHTLY_SCHEDULE: nightlySchedule
  RECONCILE_SCHEDULE: reconcileSchedule
  CLEANUP_MODE: cleanupMode
  POLICY_BLOB: policyBlob
  RUNS_CONTAINER: runsContainer
  PUSH_CLEANUP_SECONDS: string(pushCleanupSeconds)
  INVOCATION_SECONDS: string(invocationSeconds)
  REGISTRY_THREADS: string(registryThreads)
}

var dockerHubSettings = {
  DOCKERHUB_USERNAME: dockerHubUsername
  DOCKERHUB_TOKEN: '@Microsoft.KeyVault(SecretUri=${dockerHubTokenUri})'
}

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    tier: 'FlexConsumption'
    name: 'FC1'
  }
  properties: {
    reserved: true
  }
}

resource site 'Microsoft.Web/sites@2025-03-01' = {
  name: name
  location: location
  tags: union(tags, {
    'azd-service-name': 'steward'
  })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identity.id}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    publicNetworkAccess: 'Enabled'
    clientAffinityEnabled: false
    keyVaultReferenceIdentity: identity.id
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${account.properties.primaryEndpoints.blob}${deploymentContainer}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identity.id
          }
        }
      }
      runtime: {
        name: 'python'
        version: '3.13'
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        alwaysReady: alwaysReady
        triggers: {
          http: {
            perInstanceConcurrency: httpConcurrency
          }
        }
      }
    }
  }
}

resource settings 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: site
  name: 'appsettings'
  properties: union(
    hostSettings,
    stewardSettings,
    empty(dockerHubUsername) ? {} : dockerHubSettings,
    additionalSettings
  )
}

resource noFtpPasswords 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: site
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource noDeployPasswords 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: site
  name: 'scm'
  properties: {
    allow: false
  }
}

output id string = site.id
output name string = site.name
output url string = 'https://${site.properties.defaultHostName}'
