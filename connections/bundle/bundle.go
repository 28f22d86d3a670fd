// Package bundle is the form in which connections travel from one computer to
// another: their profiles, what they sign in with, and the clouds that they use. It
// hides the JSON, the encryption (age, to a passphrase or to age and SSH keys) and the
// checks on foreign bytes. It reads and writes no file and no store.
//
// The JSON inside is published as docs/bundle.schema.json.
package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/c2conn/c2conn/connections"
)

// SchemaVersion is the version of the form that this package writes. It reads bundles
// up to this version, with fields that it does not know, and refuses later ones.
const SchemaVersion = 1

// Limits of a bundle. A connection with its certificate has about 5 KiB.
const (
	MaxSize        = 64 << 20 // bytes, encrypted and armored too
	MaxConnections = 10_000
	maxClouds      = 100
	maxSecret      = 256 << 10 // bytes of one secret or certificate
	maxDefinition  = 64 << 10  // bytes of one cloud definition
)

const format = "c2conn-bundle"

// Bundle is what is moved.
type Bundle struct {
	MadeAt time.Time
	MadeBy string // program and version, e.g. "c2conn 1.2.0"
	Items  []Item
	Clouds []Cloud // user-defined clouds that the connections use
}

// Item is a connection with its secrets. Where a secret travels along, the profile's
// reference to it is empty: it was one of the other computer.
type Item struct {
	Connection connections.Connection
	Secrets    Secrets
}

// Secrets are what a connection signs in with, as far as it travels along.
type Secrets struct {
	PrivateKey     connections.Secret // PKCS#8, PEM
	Certificate    string             // PEM, with PrivateKey
	Chain          string             // PEM of the issuers, may be empty
	ClientSecret   connections.Secret
	Password       connections.Secret // of an on-premises account
	LegacyPassword connections.Secret // of the profile's legacy_admin
}

// Cloud is the definition of a user-defined cloud, as cloud.Parse reads it.
type Cloud struct {
	Name       string
	Definition string // YAML
}

// Credential tells what of the connection's own credential travels along: "certificate",
// "client-secret", "password", or "" where it stays a reference or is not there.
func (i Item) Credential() string {
	switch {
	case !i.Secrets.PrivateKey.IsZero():
		return connections.TypeCertificate
	case !i.Secrets.ClientSecret.IsZero():
		return connections.TypeClientSecret
	case !i.Secrets.Password.IsZero():
		return connections.TypePassword
	}
	return ""
}

// Outside lists the references of the profile to what is outside of c2conn's own
// stores: a file, a variable, a command of the computer that uses it.
func (i Item) Outside() []connections.Ref {
	c := i.Connection
	var out []connections.Ref
	for _, r := range []connections.Ref{c.Credential.Secret, c.Credential.Password, c.LegacyAdmin.Password} {
		switch r.Scheme() {
		case connections.SchemeFile, connections.SchemeEnv, connections.SchemeExec:
			out = append(out, r)
		}
	}
	return out
}

// HasSecrets reports whether any secret is in the bundle.
func (b Bundle) HasSecrets() bool {
	for _, i := range b.Items {
		if i.Credential() != "" || !i.Secrets.LegacyPassword.IsZero() {
			return true
		}
	}
	return false
}

// Validate tells what is wrong with b: an invalid profile, two of one name or id, a
// secret that does not fit its profile, more than the limits allow.
func (b Bundle) Validate() error {
	if len(b.Items) == 0 {
		return errors.New("it holds no connection")
	}
	if len(b.Items) > MaxConnections || len(b.Clouds) > maxClouds {
		return fmt.Errorf("it holds more than %d connections or %d clouds", MaxConnections, maxClouds)
	}
	names, ids := map[string]bool{}, map[string]bool{}
	for n, i := range b.Items {
		if err := i.validate(); err != nil {
			return fmt.Errorf("connection %d: %w", n+1, err)
		}
		name := strings.ToLower(i.Connection.Name)
		if names[name] || i.Connection.ID != "" && ids[i.Connection.ID] {
			return fmt.Errorf("connection %d has the name or the id of another one", n+1)
		}
		names[name], ids[i.Connection.ID] = true, true
	}
	clouds := map[string]bool{}
	for n, c := range b.Clouds {
		if c.Name == "" || len(c.Name) > 64 || c.Definition == "" || len(c.Definition) > maxDefinition || clouds[c.Name] {
			return fmt.Errorf("cloud %d has no name or definition, or those of another one", n+1)
		}
		clouds[c.Name] = true
	}
	return nil
}

// placeholder stands for the reference that the receiving store will give.
const placeholder connections.Ref = connections.SchemeStore + ":00000000000000000000000000"

func (i Item) validate() error {
	c, s := i.Connection, i.Secrets
	kind := i.Credential()
	embedded := 0
	for _, x := range []connections.Secret{s.PrivateKey, s.ClientSecret, s.Password, s.LegacyPassword} {
		if len(x.Reveal()) > maxSecret {
			return fmt.Errorf("a secret is larger than %d KiB", maxSecret>>10)
		}
	}
	for _, x := range []connections.Secret{s.PrivateKey, s.ClientSecret, s.Password} {
		if !x.IsZero() {
			embedded++
		}
	}
	switch {
	case len(s.Certificate)+len(s.Chain) > maxSecret:
		return fmt.Errorf("its certificates are larger than %d KiB", maxSecret>>10)
	case embedded > 1, kind != "" && kind != c.Credential.Type:
		return errors.New("what it signs in with is not what its profile says")
	case s.PrivateKey.IsZero() != (s.Certificate == ""), s.Chain != "" && s.Certificate == "":
		return errors.New("a private key and its certificate only travel together")
	case kind != "" && (c.Credential.Secret != "" || c.Credential.Password != ""),
		!s.LegacyPassword.IsZero() && c.LegacyAdmin.Password != "":
		return errors.New("a secret is there twice, itself and as a reference")
	}
	if kind != "" {
		c.Credential.Secret = placeholder
	}
	return c.Validate()
}

type document struct {
	Format      string         `json:"format"`
	Schema      int            `json:"schema"`
	MadeAt      time.Time      `json:"made_at"`
	MadeBy      string         `json:"made_by"`
	Connections []itemDocument `json:"connections"`
	Clouds      []cloudFile    `json:"clouds,omitempty"`
}

type itemDocument struct {
	Profile connections.Connection `json:"profile"`
	Secrets *secretsDocument       `json:"secrets,omitempty"`
}

type secretsDocument struct {
	PrivateKey     string `json:"private_key,omitempty"`
	Certificate    string `json:"certificate,omitempty"`
	Chain          string `json:"chain,omitempty"`
	ClientSecret   string `json:"client_secret,omitempty"`
	Password       string `json:"password,omitempty"`
	LegacyPassword string `json:"legacy_password,omitempty"`
}

type cloudFile struct {
	Name       string `json:"name"`
	Definition string `json:"definition"`
}

// Marshal gives the bundle as JSON, with all its secrets in clear: Seal it. Errors:
// those of Validate.
func Marshal(b Bundle) (connections.Secret, error) {
	if err := b.Validate(); err != nil {
		return connections.Secret{}, fmt.Errorf("making a bundle: %w", err)
	}
	d := document{Format: format, Schema: SchemaVersion, MadeAt: b.MadeAt.UTC().Truncate(time.Second), MadeBy: b.MadeBy}
	for _, i := range b.Items {
		s := secretsDocument{
			PrivateKey: text(i.Secrets.PrivateKey), Certificate: i.Secrets.Certificate, Chain: i.Secrets.Chain,
			ClientSecret: text(i.Secrets.ClientSecret), Password: text(i.Secrets.Password), LegacyPassword: text(i.Secrets.LegacyPassword),
		}
		one := itemDocument{Profile: i.Connection}
		if s != (secretsDocument{}) {
			one.Secrets = &s
		}
		d.Connections = append(d.Connections, one)
	}
	for _, c := range b.Clouds {
		d.Clouds = append(d.Clouds, cloudFile(c))
	}
	data, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		return connections.Secret{}, fmt.Errorf("making a bundle: %w", err)
	}
	return connections.NewSecret(append(data, '\n')), nil
}

func text(s connections.Secret) string { return string(s.Reveal()) }

// Parse reads what Marshal wrote, of this version or an earlier one. Errors:
// ErrNotABundle, *NewerSchemaError, *DamagedError.
func Parse(plain connections.Secret) (Bundle, error) {
	data := plain.Reveal()
	if len(data) > MaxSize {
		return Bundle{}, ErrTooLarge
	}
	// The version comes first: a later one may have other types.
	var head struct {
		Format string `json:"format"`
		Schema int    `json:"schema"`
	}
	// The reader's own errors quote the text, which holds secrets.
	if err := json.Unmarshal(data, &head); err != nil {
		if !strings.HasPrefix(strings.TrimSpace(string(data[:min(len(data), 1024)])), "{") {
			return Bundle{}, ErrNotABundle
		}
		return Bundle{}, &DamagedError{Err: errors.New("it is no complete JSON text")}
	}
	switch {
	case head.Format != format:
		return Bundle{}, ErrNotABundle
	case head.Schema > SchemaVersion:
		return Bundle{}, &NewerSchemaError{Found: head.Schema}
	case head.Schema != SchemaVersion:
		return Bundle{}, &DamagedError{Err: errors.New("it does not say its schema version")}
	}
	var d document
	if err := json.Unmarshal(data, &d); err != nil {
		where := ""
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) && wrong.Field != "" {
			where = " (" + wrong.Field + ")"
		}
		return Bundle{}, &DamagedError{Err: errors.New("a value is of the wrong type" + where)}
	}
	b := Bundle{MadeAt: d.MadeAt, MadeBy: d.MadeBy}
	for _, one := range d.Connections {
		i := Item{Connection: one.Profile}
		if s := one.Secrets; s != nil {
			i.Secrets = Secrets{
				PrivateKey: connections.NewSecret(s.PrivateKey), Certificate: s.Certificate, Chain: s.Chain,
				ClientSecret: connections.NewSecret(s.ClientSecret), Password: connections.NewSecret(s.Password), LegacyPassword: connections.NewSecret(s.LegacyPassword),
			}
		}
		b.Items = append(b.Items, i)
	}
	for _, c := range d.Clouds {
		b.Clouds = append(b.Clouds, Cloud(c))
	}
	if err := b.Validate(); err != nil {
		return Bundle{}, &DamagedError{Err: err}
	}
	return b, nil
}
