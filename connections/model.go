package connections

import (
	"maps"
	"time"
)

// SchemaVersion is the version of the YAML form that this package writes. It
// reads files up to this version and refuses later ones.
const SchemaVersion = 1

// Kind says what a connection is for.
type Kind string

// The kinds of connections.
const (
	Exchange        Kind = "exchange"
	SharePoint      Kind = "sharepoint"
	MigrationSource Kind = "migration-source"
	MigrationTarget Kind = "migration-target"
)

// Kinds returns all kinds, in the order in which they are shown.
func Kinds() []Kind { return []Kind{Exchange, SharePoint, MigrationSource, MigrationTarget} }

// Location says where the server of a connection is.
type Location string

// The locations.
const (
	Online     Location = "online"
	OnPremises Location = "on-premises"
)

// The types of credentials. Online connections use a certificate or a client
// secret, on-premises connections a password, or the Kerberos tickets of whoever is
// signed in.
const (
	TypeCertificate  = "certificate"
	TypeClientSecret = "client-secret"
	TypePassword     = "password"
	TypeTicketCache  = "ticket-cache"
)

// The states of a verification.
const (
	StateVerified   = "verified"
	StateUnverified = "unverified"
	StateWaiting    = "waiting-for-consent"
	StateFailed     = "failed"
)

// The modes of a registration.
const (
	ModeManual    = "manual"
	ModeAutomatic = "automatic"
)

// PermissionsSeed is the set of permissions that the product documents, and nothing
// else. An empty Registration.Permissions is the recommended set.
const PermissionsSeed = "seed"

// Connection is a saved profile. It holds no secret, only references to
// secrets, so its YAML and JSON forms may be shown. Times are UTC, to the
// second.
type Connection struct {
	Schema       int          `yaml:"schema" json:"schema"`
	ID           string       `yaml:"id" json:"id"`     // ULID, never changes
	Name         string       `yaml:"name" json:"name"` // unique in any case
	Kind         Kind         `yaml:"kind" json:"kind"`
	Location     Location     `yaml:"location" json:"location"`
	Cloud        string       `yaml:"cloud,omitempty" json:"cloud,omitempty"` // online only: global, usgov, dod, china or user-defined
	Tenant       Tenant       `yaml:"tenant,omitempty" json:"tenant"`
	Account      string       `yaml:"account,omitempty" json:"account,omitempty"`       // dedicated mailbox or account; UPN on-premises
	AccountID    string       `yaml:"account_id,omitempty" json:"account_id,omitempty"` // of the account's user object, GUID; filled in by a verification
	Registration Registration `yaml:"registration,omitempty" json:"registration"`
	Credential   Credential   `yaml:"credential,omitempty" json:"credential"`
	Endpoints    Endpoints    `yaml:"endpoints,omitempty" json:"endpoints"`
	// Pins are the server certificates that somebody trusted although no authority
	// vouches for them: host:port to the SHA-256 of the certificate, 64 capital
	// hexadecimal digits. On-premises only.
	Pins         map[string]string `yaml:"pins,omitempty" json:"pins,omitempty"`
	LegacyAdmin  LegacyAdmin       `yaml:"legacy_admin,omitempty" json:"legacy_admin,omitzero"` // SharePoint Online only
	Verification Verification      `yaml:"verification,omitempty" json:"verification"`
	Fleet        string            `yaml:"fleet,omitempty" json:"fleet,omitempty"` // the fleet whose file describes it; "" where none does
	Created      time.Time         `yaml:"created,omitempty" json:"created,omitzero"`
	Updated      time.Time         `yaml:"updated,omitempty" json:"updated,omitzero"`
}

// Tenant is the Microsoft 365 tenant of an online connection.
type Tenant struct {
	ID     string `yaml:"id,omitempty" json:"id,omitempty"` // GUID
	Domain string `yaml:"domain,omitempty" json:"domain,omitempty"`
	Name   string `yaml:"name,omitempty" json:"name,omitempty"`
}

// Registration is the Entra ID application of an online connection.
type Registration struct {
	Mode     string `yaml:"mode,omitempty" json:"mode,omitempty"`           // manual or automatic
	ClientID string `yaml:"client_id,omitempty" json:"client_id,omitempty"` // application (client) id, GUID
	ObjectID string `yaml:"object_id,omitempty" json:"object_id,omitempty"` // of the service principal, GUID
	// ApplicationID is the object id of the application itself, GUID; known where c2conn
	// saw it. With it the application can renew its own certificate.
	ApplicationID string `yaml:"application_object_id,omitempty" json:"application_object_id,omitempty"`

	AppName     string `yaml:"app_name,omitempty" json:"app_name,omitempty"`
	Catalogue   string `yaml:"catalogue,omitempty" json:"catalogue,omitempty"`     // version of the permission catalogue, e.g. 2026-11
	Permissions string `yaml:"permissions,omitempty" json:"permissions,omitempty"` // "" (recommended) or PermissionsSeed
}

// Credential says how the connection proves who it is. The secret itself is
// elsewhere; Secret and Password are references to it.
type Credential struct {
	Type             string    `yaml:"type,omitempty" json:"type,omitempty"`                           // certificate, client-secret or password
	Thumbprint       string    `yaml:"thumbprint,omitempty" json:"thumbprint,omitempty"`               // SHA-1, 40 hexadecimal digits
	ThumbprintSHA256 string    `yaml:"thumbprint_sha256,omitempty" json:"thumbprint_sha256,omitempty"` // 64 hexadecimal digits
	NotAfter         time.Time `yaml:"not_after,omitempty" json:"not_after,omitzero"`                  // when it expires
	Secret           Ref       `yaml:"secret,omitempty" json:"secret,omitempty"`                       // private key, client secret or password
	Password         Ref       `yaml:"password,omitempty" json:"password,omitempty"`                   // of a referenced PFX or PEM file
	Cache            string    `yaml:"cache,omitempty" json:"cache,omitempty"`                         // file with Kerberos tickets; "" for the one that KRB5CCNAME names
	PlainNTLM        bool      `yaml:"plain_ntlm,omitempty" json:"plain_ntlm,omitempty"`               // somebody accepted signing in with NTLM over http; SharePoint Server only
	KeyID            string    `yaml:"key_id,omitempty" json:"key_id,omitempty"`                       // of its entry in the registration, GUID; known where c2conn added it
}

// ExpirySoon is how long before its end a credential is worth a warning, wherever no
// other time is asked for.
const ExpirySoon = 30 * 24 * time.Hour

// ExpiresWithin reports whether the credential ends before d has passed from now; one
// whose end is not known does not.
func (c Credential) ExpiresWithin(now time.Time, d time.Duration) bool {
	return !c.NotAfter.IsZero() && c.NotAfter.Before(now.Add(d))
}

// Endpoints are the addresses that the connection uses, all URLs except Server and
// Domain, which are DNS names (Server may be an IP address).
type Endpoints struct {
	Server       string `yaml:"server,omitempty" json:"server,omitempty"` // on-premises: host name (FQDN)
	EWS          string `yaml:"ews,omitempty" json:"ews,omitempty"`
	Autodiscover string `yaml:"autodiscover,omitempty" json:"autodiscover,omitempty"`
	Domain       string `yaml:"domain,omitempty" json:"domain,omitempty"` // on-premises: DNS name of the Active Directory domain
	PowerShell   string `yaml:"powershell,omitempty" json:"powershell,omitempty"`
	SharePoint   string `yaml:"sharepoint,omitempty" json:"sharepoint,omitempty"`
	Admin        string `yaml:"admin,omitempty" json:"admin,omitempty"` // SharePoint admin site or Central Administration
}

// LegacyAdmin are the credentials of an administrator that older versions of the
// product signed in to SharePoint Online with. They are kept on request only:
// Microsoft no longer takes them, so nothing can verify them.
type LegacyAdmin struct {
	UPN      string `yaml:"upn,omitempty" json:"upn,omitempty"`
	Password Ref    `yaml:"password,omitempty" json:"password,omitempty"`
}

// Verification is what the last verification found.
type Verification struct {
	At     time.Time         `yaml:"at,omitempty" json:"at,omitzero"`
	State  string            `yaml:"state,omitempty" json:"state,omitempty"`   // verified, unverified, waiting-for-consent or failed
	Checks map[string]string `yaml:"checks,omitempty" json:"checks,omitempty"` // check id to pass, warn, fail or skip
}

// Entry is a connection as List finds it. Where Err is set the file could not
// be used: Connection then holds only the name that the file name stands for.
type Entry struct {
	Connection Connection
	Path       string // of the file
	Err        error  // *DamagedError, *NewerSchemaError, *PermissionError or a read error
}

// clone returns a copy that shares no map with c.
func (c Connection) clone() Connection {
	c.Pins = maps.Clone(c.Pins)
	if len(c.Pins) == 0 {
		c.Pins = nil
	}
	if len(c.Verification.Checks) == 0 {
		c.Verification.Checks = nil
	} else {
		checks := make(map[string]string, len(c.Verification.Checks))
		for id, status := range c.Verification.Checks {
			checks[id] = status
		}
		c.Verification.Checks = checks
	}
	return c
}

// normalised returns c with its times in UTC and to the second, as they are saved.
func (c Connection) normalised() Connection {
	c = c.clone()
	for _, t := range []*time.Time{&c.Credential.NotAfter, &c.Verification.At, &c.Created, &c.Updated} {
		if !t.IsZero() {
			*t = t.UTC().Truncate(time.Second)
		}
	}
	return c
}
