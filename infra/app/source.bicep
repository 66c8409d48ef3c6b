// One registry: what the app may do there, and the topic that tells what is pushed. Deployed into the registry's group.
param registryName string
param abac bool
param deletes bool
param pushes bool
param hears bool
param inspects bool
param identityPrincipalId string
param newTopicName string

@description('A registry has at most one system topic; name it when there is one already.')
param existingTopicName string
param topicResourceGroup string
param storageSubscriptionId string
param storageResourceGroup string
param storageAccountName string
param eventsQueue string
param deadLetterContainer string

resource registry 'Microsoft.ContainerRegistry/registries@2025-06-01-preview' existing = {
  name: registryName
}

module registryRoles './rbac.bicep' = {
  name: 'roles-${registryName}'
  params: {
    grant: 'registry'
    principalId: identityPrincipalId
    registryName: registryName
    abac: abac
    deletes: deletes
    pushes: pushes
    inspects: inspects
  }
}

module topic './topic.bicep' = if (hears) {
  name: 'topic-${registryName}'
  scope: resourceGroup(topicResourceGroup)
  params: {
    newName: newTopicName
    existingName: existingTopicName
    location: registry.location
    registryId: registry.id
  }
}

module topicRoles './rbac.bicep' = if (hears) {
  name: 'roles-topic-${registryName}'
  scope: resourceGroup(storageSubscriptionId, storageResourceGroup)
  params: {
    grant: 'topic'
    principalId: topic!.outputs.principalId
    storageAccountName: storageAccountName
    eventsQueue: eventsQueue
    deadLetterContainer: deadLetterContainer
  }
}

output registryId string = registry.id
output inspectedId string = inspects ? registry.id : ''
output loginServer string = registry.properties.loginServer
output topicId string = hears ? topic!.outputs.id : ''
output topicName string = hears ? topic!.outputs.name : ''
