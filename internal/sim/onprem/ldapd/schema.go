package ldapd

// syntax is how the values of an attribute are compared.
type syntax int

const (
	asText          syntax = iota // case-insensitive Unicode
	asExact                       // case-sensitive text
	asBytes                       // bytes
	asNumber                      // 32 or 64 bits, decimal
	asBool                        // TRUE or FALSE
	asName                        // distinguished name
	asTime                        // generalized time
	asClass                       // object identifier by name; objectClass
	asNameWithBytes               // "B:n:hex:DN"; compared as text
)

// schema lists the attributes of the simulated forest. A filter on another
// attribute is undefined, as in MS-ADTS 3.1.1.3.1.3.1.
func schema(exchange bool) map[string]syntax {
	s := map[string]syntax{
		"objectClass": asClass, "objectCategory": asName, "distinguishedName": asName, "cn": asText, "ou": asText, "dc": asText, "name": asText,
		"displayName": asText, "description": asText, "givenName": asText, "sn": asText, "mail": asText, "userPrincipalName": asText,
		"sAMAccountName": asText, "userAccountControl": asNumber, "primaryGroupID": asNumber, "objectSid": asBytes, "objectGUID": asBytes,
		"member": asName, "memberOf": asName, "groupType": asNumber, "sAMAccountType": asNumber, "servicePrincipalName": asText,
		"uPNSuffixes": asText, "nCName": asName, "dnsRoot": asText, "nETBIOSName": asText, "trustParent": asName, "systemFlags": asNumber,
		"trustPartner": asText, "flatName": asText, "trustDirection": asNumber, "trustType": asNumber, "trustAttributes": asNumber, "securityIdentifier": asBytes,
		"keywords": asText, "serviceBindingInformation": asText, "serviceClassName": asText, "serviceDNSName": asText, "serviceDNSNameType": asText,
		"siteObject": asName, "location": asText, "lDAPDisplayName": asText, "attributeID": asClass, "otherWellKnownObjects": asNameWithBytes, "wellKnownObjects": asNameWithBytes,
		"whenCreated": asTime, "whenChanged": asTime, "isDeleted": asBool, "msDS-SupportedEncryptionTypes": asNumber,
		"accountExpires": asNumber, "lockoutTime": asNumber, "proxyAddresses": asText, "info": asExact, "isCriticalSystemObject": asBool,
	}
	if exchange {
		for attr, kind := range map[string]syntax{
			"msExchMailboxGuid": asBytes, "homeMDB": asName, "msExchRecipientTypeDetails": asNumber, "msExchVersion": asNumber,
			"legacyExchangeDN": asText, "mailNickname": asText, "msExchHideFromAddressLists": asBool,
		} {
			s[attr] = kind
		}
	}
	return s
}
