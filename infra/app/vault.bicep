param name string
param location string
param tags object

@secure()
param dockerHubToken string
param purgeProtection bool
param privateNetwork bool
param operatorIpAddresses array

var secretName = 'docker-hub-token'

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: subscription().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enablePurgeProtection: purgeProtection ? true : null
    softDeleteRetentionInDays: 7
    publicNetworkAccess: 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: privateNetwork ? 'Deny' : 'Allow'
      ipRules: [
        for address in operatorIpAddresses: {
          value: address
        }
      ]
    }
  }
}

resource secret 'Microsoft.KeyVault/vaults/secrets@2024-11-01' = if (!empty(dockerHubToken)) {
  parent: vault
  name: secretName
  properties: {
    value: dockerHubToken
    contentType: 'Docker Hub access token'
  }
}

output name string = vault.name
output dockerHubTokenUri string = '${vault.properties.vaultUri}secrets/${secretName}'
