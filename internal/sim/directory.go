package sim

import (
	"encoding/base64"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/c2conn/c2conn/internal/sim/soap"
)

// directory is the tenant's state: what Entra ID and Graph know. The
// registrations, which requests change, live in log; the rest stays as it was
// seeded, but for policy, which mu guards.
type directory struct {
	mu           sync.RWMutex
	organization organization
	domains      []domain
	users        []*user
	groups       []*group
	policy       ewsPolicy
	log          changeLog
	holds        holds
}

// ewsPolicy is the organisation's switch for EWS, as Set-OrganizationConfig sets it.
//
// Source: learn.microsoft.com/powershell/module/exchangepowershell/set-organizationconfig
// (EwsEnabled, EwsAllowedAppIDs).
type ewsPolicy struct {
	enabled *bool    // nil: the list has no effect
	allowed []string // client ids, lower case
}

// verdict returns the X-EWS-Policy-Reason of a refusal, "" when EWS is open.
func (p ewsPolicy) verdict(clientID string, mailbox *bool) string {
	const disabled = "EWS is disabled for this user or tenant"
	switch {
	case p.enabled != nil && !*p.enabled, mailbox != nil && !*mailbox:
		return disabled
	case p.enabled != nil && !slices.Contains(p.allowed, strings.ToLower(clientID)):
		return "EWS is blocked by policy for this user or tenant"
	default:
		return ""
	}
}

type organization struct {
	ID              string           `json:"id"`
	DeletedDateTime *stamp           `json:"deletedDateTime"`
	BusinessPhones  []string         `json:"businessPhones"`
	City            *string          `json:"city"`
	Country         *string          `json:"country"`
	CountryCode     string           `json:"countryLetterCode"`
	Created         stamp            `json:"createdDateTime"`
	DisplayName     string           `json:"displayName"`
	SyncEnabled     *bool            `json:"onPremisesSyncEnabled"`
	LastSync        *stamp           `json:"onPremisesLastSyncDateTime"`
	PostalCode      *string          `json:"postalCode"`
	Language        string           `json:"preferredLanguage"`
	State           *string          `json:"state"`
	Street          *string          `json:"street"`
	TechnicalMails  []string         `json:"technicalNotificationMails"`
	TenantType      string           `json:"tenantType"`
	VerifiedDomains []verifiedDomain `json:"verifiedDomains"`
}

type verifiedDomain struct {
	Capabilities string `json:"capabilities"`
	IsDefault    bool   `json:"isDefault"`
	IsInitial    bool   `json:"isInitial"`
	Name         string `json:"name"`
	Type         string `json:"type"`
}

type domain struct {
	ID                 string   `json:"id"`
	AuthenticationType string   `json:"authenticationType"`
	AvailabilityStatus *string  `json:"availabilityStatus"`
	IsAdminManaged     bool     `json:"isAdminManaged"`
	IsDefault          bool     `json:"isDefault"`
	IsInitial          bool     `json:"isInitial"`
	IsRoot             bool     `json:"isRoot"`
	IsVerified         bool     `json:"isVerified"`
	SupportedServices  []string `json:"supportedServices"`
}

type user struct {
	ID                string            `json:"id"`
	AccountEnabled    bool              `json:"accountEnabled"`
	AssignedLicenses  []assignedLicense `json:"assignedLicenses"`
	BusinessPhones    []string          `json:"businessPhones"`
	Created           stamp             `json:"createdDateTime"`
	DisplayName       string            `json:"displayName"`
	GivenName         *string           `json:"givenName"`
	JobTitle          *string           `json:"jobTitle"`
	Mail              *string           `json:"mail"`
	MailNickname      string            `json:"mailNickname"`
	MobilePhone       *string           `json:"mobilePhone"`
	OfficeLocation    *string           `json:"officeLocation"`
	SyncEnabled       *bool             `json:"onPremisesSyncEnabled"`
	PreferredLanguage *string           `json:"preferredLanguage"`
	ProxyAddresses    []string          `json:"proxyAddresses"`
	Surname           *string           `json:"surname"`
	UsageLocation     *string           `json:"usageLocation"`
	UserPrincipalName string            `json:"userPrincipalName"`
	UserType          string            `json:"userType"`

	mailbox *mailbox // nil: none in Exchange Online
	sid     string
	roles   []string // template ids of the directory roles held
}

type assignedLicense struct {
	DisabledPlans []string `json:"disabledPlans"`
	SkuID         string   `json:"skuId"`
}

// mailbox is what Exchange Online keeps for a user.
type mailbox struct {
	purpose    string // userPurpose: user, shared, room, …
	ewsEnabled *bool  // Set-CASMailbox -EwsEnabled
	archive    bool
	folders    map[string]soap.Folder // by distinguished id
}

type group struct {
	ID              string   `json:"id"`
	DeletedDateTime *stamp   `json:"deletedDateTime"`
	Created         stamp    `json:"createdDateTime"`
	Description     *string  `json:"description"`
	DisplayName     string   `json:"displayName"`
	GroupTypes      []string `json:"groupTypes"`
	Mail            *string  `json:"mail"`
	MailEnabled     bool     `json:"mailEnabled"`
	MailNickname    string   `json:"mailNickname"`
	ProxyAddresses  []string `json:"proxyAddresses"`
	Renewed         stamp    `json:"renewedDateTime"`
	SecurityEnabled bool     `json:"securityEnabled"`
	Visibility      *string  `json:"visibility"`
}

type application struct {
	ID                     string                   `json:"id"`
	DeletedDateTime        *stamp                   `json:"deletedDateTime"`
	AppID                  string                   `json:"appId"`
	CreatedBy              *string                  `json:"createdByAppId"`
	Created                stamp                    `json:"createdDateTime"`
	Description            *string                  `json:"description"`
	DisabledByMicrosoft    *string                  `json:"disabledByMicrosoftStatus"`
	DisplayName            string                   `json:"displayName"`
	IdentifierURIs         []string                 `json:"identifierUris"`
	IsDisabled             *bool                    `json:"isDisabled"`
	KeyCredentials         []keyCredential          `json:"keyCredentials"`
	Notes                  *string                  `json:"notes"`
	PasswordCredentials    []passwordCredential     `json:"passwordCredentials"`
	PublisherDomain        string                   `json:"publisherDomain"`
	RequiredResourceAccess []requiredResourceAccess `json:"requiredResourceAccess"`
	SignInAudience         string                   `json:"signInAudience"`
	Tags                   []string                 `json:"tags"`
	UniqueName             *string                  `json:"uniqueName"`

	owners []string // object ids of users and service principals
	other  fields   // properties that are kept but mean nothing here
}

type keyCredential struct {
	CustomKeyIdentifier string  `json:"customKeyIdentifier"`
	DisplayName         string  `json:"displayName"`
	EndDateTime         stamp   `json:"endDateTime"`
	Key                 *string `json:"key"`
	KeyID               string  `json:"keyId"`
	StartDateTime       stamp   `json:"startDateTime"`
	Type                string  `json:"type"`
	Usage               string  `json:"usage"`
}

type passwordCredential struct {
	CustomKeyIdentifier *string `json:"customKeyIdentifier"`
	DisplayName         string  `json:"displayName"`
	EndDateTime         stamp   `json:"endDateTime"`
	Hint                string  `json:"hint"`
	KeyID               string  `json:"keyId"`
	SecretText          *string `json:"secretText"`
	StartDateTime       stamp   `json:"startDateTime"`

	secret string
}

type requiredResourceAccess struct {
	ResourceAppID  string           `json:"resourceAppId"`
	ResourceAccess []resourceAccess `json:"resourceAccess"`
}

type resourceAccess struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

type servicePrincipal struct {
	ID                    string   `json:"id"`
	DeletedDateTime       *stamp   `json:"deletedDateTime"`
	AccountEnabled        bool     `json:"accountEnabled"`
	AppDisplayName        string   `json:"appDisplayName"`
	AppID                 string   `json:"appId"`
	AppOwner              string   `json:"appOwnerOrganizationId"`
	AssignmentRequired    bool     `json:"appRoleAssignmentRequired"`
	AppRoles              []role   `json:"appRoles"`
	DisplayName           string   `json:"displayName"`
	ServicePrincipalNames []string `json:"servicePrincipalNames"`
	ServicePrincipalType  string   `json:"servicePrincipalType"`
	SignInAudience        string   `json:"signInAudience"`
	Tags                  []string `json:"tags"`

	owners []string
	other  fields
}

type role struct {
	AllowedMemberTypes []string `json:"allowedMemberTypes"`
	Description        string   `json:"description"`
	DisplayName        string   `json:"displayName"`
	ID                 string   `json:"id"`
	IsEnabled          bool     `json:"isEnabled"`
	Origin             string   `json:"origin"`
	Value              string   `json:"value"`
}

type appRoleAssignment struct {
	ID                   string `json:"id"`
	DeletedDateTime      *stamp `json:"deletedDateTime"`
	AppRoleID            string `json:"appRoleId"`
	Created              stamp  `json:"createdDateTime"`
	PrincipalDisplayName string `json:"principalDisplayName"`
	PrincipalID          string `json:"principalId"`
	PrincipalType        string `json:"principalType"`
	ResourceDisplayName  string `json:"resourceDisplayName"`
	ResourceID           string `json:"resourceId"`
}

// stamp is a time as Graph writes it: UTC, whole seconds.
type stamp struct{ time.Time }

// MarshalJSON writes the time as Graph does.
func (s stamp) MarshalJSON() ([]byte, error) {
	return []byte(`"` + s.UTC().Format("2006-01-02T15:04:05Z") + `"`), nil
}

func (t *tenant) application(clientID string) *application {
	for _, a := range t.applications {
		if strings.EqualFold(a.AppID, clientID) {
			return a
		}
	}
	return nil
}

func (t *tenant) principal(appID string) *servicePrincipal {
	for _, p := range t.principals {
		if strings.EqualFold(p.AppID, appID) {
			return p
		}
	}
	return nil
}

// user finds by object id or user principal name, as Graph does; a mail
// address that is not the user principal name finds nobody.
func (d *directory) user(key string) *user {
	for _, u := range d.users {
		if strings.EqualFold(u.ID, key) || strings.EqualFold(u.UserPrincipalName, key) {
			return u
		}
	}
	return nil
}

// recipient finds a user by any of its SMTP addresses, as Exchange does.
func (d *directory) recipient(address string) *user {
	for _, u := range d.users {
		for _, p := range u.ProxyAddresses {
			if len(p) > 5 && strings.EqualFold(p[:5], "smtp:") && strings.EqualFold(p[5:], address) {
				return u
			}
		}
	}
	return nil
}

func (u *user) primarySMTP() string {
	for _, p := range u.ProxyAddresses {
		if strings.HasPrefix(p, "SMTP:") {
			return p[5:]
		}
	}
	return ""
}

// roles lists the application permissions consented to a client on a resource.
func (t *tenant) roles(client, resource *servicePrincipal) []string {
	var names []string
	for _, a := range t.assignments {
		if a.PrincipalID != client.ID || a.ResourceID != resource.ID {
			continue
		}
		for _, r := range resource.AppRoles {
			if r.ID == a.AppRoleID && r.IsEnabled {
				names = append(names, r.Value)
			}
		}
	}
	return names
}

func (d *directory) hasDomain(name string) bool {
	for _, v := range d.domains {
		if strings.EqualFold(v.ID, name) && v.IsVerified {
			return true
		}
	}
	return false
}

func keyOf(c Certificate, keyID string) keyCredential {
	thumb := c.Thumbprint()
	der := base64.StdEncoding.EncodeToString(c.Leaf.Raw)
	return keyCredential{CustomKeyIdentifier: thumb, DisplayName: "CN=" + c.Leaf.Subject.CommonName, EndDateTime: stamp{c.Leaf.NotAfter}, Key: &der,
		KeyID: keyID, StartDateTime: stamp{c.Leaf.NotBefore}, Type: "AsymmetricX509Cert", Usage: "Verify"}
}
