param actionGroupName string
param namePrefix string
param location string
param tags object
param workspaceId string
param componentId string
param storageAccountId string

@description('Event Grid topics to watch; empty strings are skipped.')
param topicIds array
param email string

@description('Pushed tags that reach their target later than this are told of.')
param replicationLagMinutes int

var topics = filter(topicIds, id => !empty(id))
var actionGroups = empty(email) ? [] : [actionGroup.id]

// A log line is a constant message and one JSON object (shared/logs.py).
var fields = 'extend Fields = parse_json(substring(Message, indexof(Message, "{")))'

var logAlerts = [
  {
    name: 'no-nightly-run'
    description: 'No nightly run was opened in the last 26 hours.'
    severity: 1
    query: 'AppRequests | where TimeGenerated > ago(26h) | where OperationName == "start_nightly_run" and Success | summarize Found = count()'
    every: 'PT1H'
    window: 'P2D'
    operator: 'LessThan'
    threshold: 1
  }
  {
    name: 'poisoned-messages'
    description: 'A message failed too often and was recorded as poisoned: GET /api/poison names it.'
    severity: 1
    query: 'AppRequests | where OperationName in ("poisoned_registry_event", "poisoned_replication", "poisoned_cleanup") | summarize Found = count()'
    every: 'PT15M'
    window: 'PT15M'
    operator: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'failing-invocations'
    description: 'More than five invocations failed within an hour; each is tried again, up to maxDequeueCount.'
    severity: 2
    query: 'AppRequests | where Success == false | summarize Found = count()'
    every: 'PT15M'
    window: 'PT1H'
    operator: 'GreaterThan'
    threshold: 5
  }
  {
    name: 'failed-replications'
    description: 'A tag was not replicated and will not be by itself: GET /api/runs/{run}/replications says why.'
    severity: 2
    query: 'AppTraces | where Message startswith "replicated tag {" or Message startswith "received registry event {" | ${fields} | where tostring(Fields.result) == "failed" or array_length(Fields.unmappable) > 0 | summarize Found = count()'
    every: 'PT15M'
    window: 'PT15M'
    operator: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'incomplete-runs'
    description: 'A run ended with actions that failed, or could not see everything: GET /api/runs/{run} says what.'
    severity: 2
    query: 'AppTraces | where Message startswith "run finished {" | ${fields} | where toint(Fields.done.failed) > 0 or array_length(Fields.problems) > 0 | summarize Found = count()'
    every: 'PT15M'
    window: 'PT15M'
    operator: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'throttled'
    description: 'Registries asked for patience: more than 20 times within an hour a message had to wait or an invocation failed.'
    severity: 3
    query: 'union (AppExceptions | where OuterMessage has "RateLimited" or InnermostMessage has "RateLimited"), (AppTraces | where Message startswith "replicated tag {" | ${fields} | where tostring(Fields.result) == "deferred") | summarize Found = count()'
    every: 'PT15M'
    window: 'PT1H'
    operator: 'GreaterThan'
    threshold: 20
  }
  {
    name: 'replication-lag'
    description: 'A pushed tag reached its target later than ${replicationLagMinutes} minutes after the push.'
    severity: 2
    query: 'AppTraces | where Message startswith "replicated tag {" | ${fields} | where tostring(Fields.result) == "copied" and tostring(Fields.run) startswith "pushes-" and todouble(Fields.lag_seconds) > ${replicationLagMinutes * 60} | summarize Found = count()'
    every: 'PT15M'
    window: 'PT15M'
    operator: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'replication-stalled'
    description: 'Pushes were to be replicated, and for an hour nothing was.'
    severity: 1
    query: 'AppTraces | where TimeGenerated > ago(1h) | ${fields} | summarize Pushed = countif(Message startswith "received registry event {" and array_length(Fields.targets) > 0 and TimeGenerated < ago(15m)), Replicated = countif(Message startswith "replicated tag {" and tostring(Fields.result) != "deferred") | where Pushed > 0 and Replicated == 0 | summarize Found = count()'
    every: 'PT15M'
    window: 'PT1H'
    operator: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'refused-by-limit'
    description: 'A repository or a whole run was not cleaned, because it would have lost too much: GET /api/runs/{run} has the numbers.'
    severity: 1
    query: 'AppTraces | where Message startswith "repository refused by a limit {" or Message startswith "run refused by a limit {" | summarize Found = count()'
    every: 'PT15M'
    window: 'PT15M'
    operator: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'settings-refused'
    description: 'Invocations fail because app settings cannot be used: GET /api/health/ready lists each problem.'
    severity: 1
    query: 'AppExceptions | where OuterMessage has "InvalidSettings" or InnermostMessage has "InvalidSettings" | summarize Found = count()'
    every: 'PT15M'
    window: 'PT15M'
    operator: 'GreaterThan'
    threshold: 0
  }
]

resource actionGroup 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(email)) {
  name: actionGroupName
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'steward'
    enabled: true
    emailReceivers: [
      {
        name: 'operator'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}

resource logRules 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for alert in logAlerts: {
    name: '${namePrefix}-${alert.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: '${namePrefix}: ${alert.name}'
      description: alert.description
      severity: alert.severity
      enabled: true
      autoMitigate: true
      skipQueryValidation: true
      scopes: [
        workspaceId
      ]
      evaluationFrequency: alert.every
      windowSize: alert.window
      criteria: {
        allOf: [
          {
            query: alert.query
            metricMeasureColumn: 'Found'
            timeAggregation: 'Total'
            operator: alert.operator
            threshold: alert.threshold
            failingPeriods: {
              numberOfEvaluationPeriods: 1
              minFailingPeriodsToAlert: 1
            }
          }
        ]
      }
      actions: {
        actionGroups: actionGroups
      }
    }
  }
]

resource backlog 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: '${namePrefix}-backlog'
  location: 'global'
  tags: tags
  properties: {
    description: 'More than 5,000 messages wait in the queues: replication and cleaning lag behind.'
    severity: 2
    enabled: true
    scopes: [
      '${storageAccountId}/queueServices/default'
    ]
    evaluationFrequency: 'PT1H'
    windowSize: 'PT1H'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'messages'
          criterionType: 'StaticThresholdCriterion'
          metricNamespace: 'Microsoft.Storage/storageAccounts/queueServices'
          metricName: 'QueueMessageCount'
          timeAggregation: 'Average'
          operator: 'GreaterThan'
          threshold: 5000
        }
      ]
    }
    actions: [for id in actionGroups: {
      actionGroupId: id
    }]
  }
}

resource undelivered 'Microsoft.Insights/metricAlerts@2018-03-01' = [
  for topic in topics: {
    name: '${namePrefix}-undelivered-${last(split(topic, '/'))}'
    location: 'global'
    tags: tags
    properties: {
      description: 'Event Grid gave events up: look into the container dead-letter.'
      severity: 2
      enabled: true
      scopes: [
        topic
      ]
      evaluationFrequency: 'PT15M'
      windowSize: 'PT15M'
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            name: 'dead-lettered'
            criterionType: 'StaticThresholdCriterion'
            metricNamespace: 'Microsoft.EventGrid/systemTopics'
            metricName: 'DeadLetteredCount'
            timeAggregation: 'Total'
            operator: 'GreaterThan'
            threshold: 0
          }
        ]
      }
      actions: [for id in actionGroups: {
        actionGroupId: id
      }]
    }
  }
]

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'registry-steward')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Registry Steward'
    category: 'workbook'
    sourceId: componentId
    serializedData: loadTextContent('./workbook.json')
  }
}
