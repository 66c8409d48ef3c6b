param namePrefix string
param location string
param tags object
param subnetId string

@description('Ids of the private DNS zones: blob, queue, table, vault, registry.')
param zones object
param storageAccountName string
param vaultName string

@description('Registries to reach privately; empty strings are skipped.')
param registryIds array

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: storageAccountName
}

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' existing = {
  name: vaultName
}

var ownEndpoints = [
  {
    name: '${storageAccountName}-blob'
    target: account.id
    part: 'blob'
    zone: zones.blob
  }
  {
    name: '${storageAccountName}-queue'
    target: account.id
    part: 'queue'
    zone: zones.queue
  }
  {
    name: '${storageAccountName}-table'
    target: account.id
    part: 'table'
    zone: zones.table
  }
  {
    name: vaultName
    target: vault.id
    part: 'vault'
    zone: zones.vault
  }
]
// The zone group makes both records of a registry: login server and regional data endpoint.
var registryEndpoints = map(filter(registryIds, id => !empty(id)), id => {
  name: last(split(id, '/'))
  target: id
  part: 'registry'
  zone: zones.registry
})
var wanted = concat(ownEndpoints, registryEndpoints)

resource endpoints 'Microsoft.Network/privateEndpoints@2024-05-01' = [
  for item in wanted: {
    name: '${namePrefix}${item.name}'
    location: location
    tags: tags
    properties: {
      subnet: {
        id: subnetId
      }
      privateLinkServiceConnections: [
        {
          name: item.part
          properties: {
            privateLinkServiceId: item.target
            groupIds: [
              item.part
            ]
          }
        }
      ]
    }
  }
]

resource zoneGroups 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-05-01' = [
  for (item, i) in wanted: {
    parent: endpoints[i]
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [
        {
          name: item.part
          properties: {
            privateDnsZoneId: item.zone
          }
        }
      ]
    }
  }
]
