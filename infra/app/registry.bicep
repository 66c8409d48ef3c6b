param name string
param location string
param tags object
param sku string
param abac bool
param publicNetworkAccess string
param adminUser bool
param softDeleteDays int
param workspaceId string

// Registry Steward decides what untagged manifests are worth; the registry's own retention would race it.
var noRetention = {
  retentionPolicy: {
    status: 'disabled'
    days: 7
  }
}
// Written down when off, too: what is left out stays as it is. Only preview versions of the API know it.
var softDelete = {
  softDeletePolicy: {
    status: softDeleteDays > 0 ? 'enabled' : 'disabled'
    retentionDays: softDeleteDays > 0 ? softDeleteDays : 7
  }
}

resource registry 'Microsoft.ContainerRegistry/registries@2025-06-01-preview' = {
  name: name
  location: location
  tags: tags
  sku: {
    name: sku
  }
  properties: {
    adminUserEnabled: adminUser
    anonymousPullEnabled: false
    publicNetworkAccess: publicNetworkAccess
    networkRuleBypassOptions: 'AzureServices'
    roleAssignmentMode: abac ? 'AbacRepositoryPermissions' : 'LegacyRegistryPermissions'
    policies: union(sku == 'Premium' ? noRetention : {}, softDelete)
  }
}

resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'registry-steward'
  scope: registry
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'ContainerRegistryRepositoryEvents'
        enabled: true
      }
    ]
  }
}
