param newName string
param existingName string
param location string
param registryId string

resource created 'Microsoft.EventGrid/systemTopics@2025-02-15' = if (empty(existingName)) {
  name: newName
  location: location
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    source: registryId
    topicType: 'Microsoft.ContainerRegistry.Registries'
  }
}

// Never changed here; it must have a system-assigned identity (docs/deploy.md says how to give it one).
resource found 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = if (!empty(existingName)) {
  name: existingName
}

output id string = empty(existingName) ? created!.id : found!.id
output name string = empty(existingName) ? created!.name : found!.name
output principalId string = empty(existingName) ? created!.identity.principalId : found!.identity.principalId
