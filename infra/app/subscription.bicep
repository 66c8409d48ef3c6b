// What the registry's topic delivers to the app. Deployed into the topic's group, after the topic's roles.
param hears bool
param topicName string
param name string
param delivery string
param siteId string
param storageAccountId string
param eventsQueue string
param deadLetterContainer string

var toQueue = {
  deliveryWithResourceIdentity: {
    identity: {
      type: 'SystemAssigned'
    }
    destination: {
      endpointType: 'StorageQueue'
      properties: {
        resourceId: storageAccountId
        queueName: eventsQueue
        queueMessageTimeToLiveInSeconds: 604800
      }
    }
  }
}
var toFunction = {
  destination: {
    endpointType: 'AzureFunction'
    properties: {
      resourceId: '${siteId}/functions/on_registry_event'
      maxEventsPerBatch: 1
      preferredBatchSizeInKilobytes: 64
    }
  }
}
var always = {
  eventDeliverySchema: 'CloudEventSchemaV1_0'
  filter: {
    includedEventTypes: [
      'Microsoft.ContainerRegistry.ImagePushed'
      'Microsoft.ContainerRegistry.ImageDeleted'
    ]
  }
  retryPolicy: {
    maxDeliveryAttempts: 30
    eventTimeToLiveInMinutes: 1440
  }
  deadLetterWithResourceIdentity: {
    identity: {
      type: 'SystemAssigned'
    }
    deadLetterDestination: {
      endpointType: 'StorageBlob'
      properties: {
        resourceId: storageAccountId
        blobContainerName: deadLetterContainer
      }
    }
  }
}

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = if (hears) {
  name: topicName
}

resource eventSubscription 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = if (hears) {
  parent: topic
  name: name
  properties: union(always, delivery == 'StorageQueue' ? toQueue : toFunction)
}
