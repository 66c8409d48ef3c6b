// Every role assignment of the project, deployed where the resource is. docs/deploy.md says why each is needed.
@description('Whose roles: the app\'s on its own resources, the app\'s on one registry, one topic\'s, or a person\'s.')
@allowed([
  'app'
  'registry'
  'topic'
  'operator'
])
param grant string
param principalId string
@allowed([
  'User'
  'Group'
  'ServicePrincipal'
])
param principalType string = 'ServicePrincipal'

param storageAccountName string = ''
param vaultName string = ''
param componentName string = ''
param registryName string = ''
param eventsQueue string = ''
param deadLetterContainer string = ''
param policyContainer string = ''
param runsContainer string = ''

@description('The registry honours repository roles (ABAC mode) instead of AcrPull, AcrPush and AcrDelete.')
param abac bool = false
param deletes bool = false
param pushes bool = false
param inspects bool = false

var roles = {
  AcrPull: '7f951dda-4ed3-4680-a7ca-43fe172d538d'
  AcrPush: '8311e382-0749-4cb8-b61a-304f252e45ec'
  AcrDelete: 'c2f4ef07-c644-48eb-af81-4b1b4947fb11'
  'Container Registry Repository Reader': 'b93aa761-3e63-49ed-ac28-beffa264f7ac'
  'Container Registry Repository Writer': '2a1e307c-b015-4ebd-883e-5b7698a07328'
  'Container Registry Repository Contributor': '2efddaa5-3f1f-4df3-97df-af3f13818f4c'
  'Container Registry Repository Catalog Lister': 'bfdb9389-c9a5-478a-bb2f-ba9ca092c3c7'
  'Storage Blob Data Owner': 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  'Storage Blob Data Contributor': 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
  'Storage Blob Data Reader': '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1'
  'Storage Queue Data Contributor': '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
  'Storage Queue Data Message Sender': 'c6a89b2d-59bc-44d0-9896-0f6e12d7b80a'
  'Storage Table Data Contributor': '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
  'Key Vault Secrets User': '4633458b-17de-408a-b874-0445c86b69e6'
  'Monitoring Metrics Publisher': '3913510d-42f4-4e42-8a64-420c390055eb'
  // Not 'Container Registry Configuration Reader and Data Access Configuration Reader': it may list passwords.
  Reader: 'acdd72a7-3385-48ef-bd42-f606fba81ae7'
}

var legacyRoles = concat([pushes ? 'AcrPush' : 'AcrPull'], deletes ? ['AcrDelete'] : [])
var readOrWrite = pushes ? 'Container Registry Repository Writer' : 'Container Registry Repository Reader'
var abacRoles = [
  deletes ? 'Container Registry Repository Contributor' : readOrWrite
  'Container Registry Repository Catalog Lister'
]
var appRoles = [
  'Storage Blob Data Owner'
  'Storage Queue Data Contributor'
  'Storage Table Data Contributor'
]
var topicContainers = [
  {
    container: deadLetterContainer
    role: 'Storage Blob Data Contributor'
  }
]
var operatorContainers = [
  {
    container: policyContainer
    role: 'Storage Blob Data Contributor'
  }
  {
    container: runsContainer
    role: 'Storage Blob Data Reader'
  }
  {
    container: deadLetterContainer
    role: 'Storage Blob Data Reader'
  }
]

var onAccount = grant == 'app' ? appRoles : []
var onVault = grant == 'app' ? ['Key Vault Secrets User'] : []
var onComponent = grant == 'app' ? ['Monitoring Metrics Publisher'] : []
var registryRoleNames = concat(abac ? abacRoles : legacyRoles, inspects ? ['Reader'] : [])
var onRegistry = grant == 'registry' ? registryRoleNames : []
var onEventsQueue = grant == 'topic' ? ['Storage Queue Data Message Sender'] : []
var onContainers = grant == 'topic' ? topicContainers : (grant == 'operator' ? operatorContainers : [])

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: storageAccountName
}

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2025-06-01' existing = {
  parent: account
  name: 'default'
}

resource queue 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-06-01' existing = {
  parent: queueService
  name: eventsQueue
}

resource blobService 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' existing = {
  parent: account
  name: 'default'
}

resource containers 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' existing = [
  for item in onContainers: {
    parent: blobService
    name: item.container
  }
]

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' existing = {
  name: vaultName
}

resource component 'Microsoft.Insights/components@2020-02-02' existing = {
  name: componentName
}

resource registry 'Microsoft.ContainerRegistry/registries@2025-06-01-preview' existing = {
  name: registryName
}

resource accountRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in onAccount: {
    name: guid(account.id, principalId, roles[role])
    scope: account
    properties: {
      principalId: principalId
      principalType: principalType
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles[role])
    }
  }
]

resource vaultRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in onVault: {
    name: guid(vault.id, principalId, roles[role])
    scope: vault
    properties: {
      principalId: principalId
      principalType: principalType
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles[role])
    }
  }
]

resource componentRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in onComponent: {
    name: guid(component.id, principalId, roles[role])
    scope: component
    properties: {
      principalId: principalId
      principalType: principalType
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles[role])
    }
  }
]

resource registryRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in onRegistry: {
    name: guid(registry.id, principalId, roles[role])
    scope: registry
    properties: {
      principalId: principalId
      principalType: principalType
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles[role])
    }
  }
]

resource queueRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in onEventsQueue: {
    name: guid(queue.id, principalId, roles[role])
    scope: queue
    properties: {
      principalId: principalId
      principalType: principalType
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles[role])
    }
  }
]

resource containerRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (item, i) in onContainers: {
    name: guid(account.id, item.container, principalId, roles[item.role])
    scope: containers[i]
    properties: {
      principalId: principalId
      principalType: principalType
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles[item.role])
    }
  }
]
