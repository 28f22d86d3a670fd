package wizard

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/mail"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/entra"
)

// The patterns are made at first use: nothing is compiled when the program starts.
var (
	guidPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	})
	domainPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^([\p{L}\p{N}]([\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?\.)+[\p{L}][\p{L}\p{N}-]{1,62}$`)
	})
)

// trim removes what comes along when a value is copied from a portal: white
// space, braces, quotes, a byte order mark and invisible direction marks.
func trim(s string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch r {
		case '\ufeff', '\u200b', '\u200e', '\u200f', '\u202a', '\u202c':
			return -1
		}
		return r
	}, s), " \t\r\n{}\"'\u00a0")
}

func isGUID(s string) bool { return guidPattern().MatchString(s) }

func checkAddress(_ *Env, _ Answers, v string) (string, error) {
	v = trim(v)
	if hidden(v) {
		return v, errHidden
	}
	addr, err := mail.ParseAddress(v)
	if err != nil || addr.Address != v || !domainPattern().MatchString(v[strings.LastIndex(v, "@")+1:]) {
		return v, fmt.Errorf("%q is not an e-mail address; it looks like admin@contoso.com", v)
	}
	return v, nil
}

func checkClientID(_ *Env, a Answers, v string) (string, error) {
	v = trim(v)
	switch {
	case isGUID(v) && strings.EqualFold(v, a.Get(keyTenantID)):
		return v, errors.New("this is the same as the Tenant ID; copy \"Application (client) ID\" from the app's Overview page")
	case isGUID(v):
		return strings.ToLower(v), nil
	case strings.Contains(v, "@"):
		return v, errors.New("this is an address; copy \"Application (client) ID\" from the app's Overview page")
	}
	return v, errors.New("not a client ID: it has 36 characters like 2f1c9e1a-0000-0000-0000-0000000077aa; copy \"Application (client) ID\" (not \"Object ID\") from the app's Overview page")
}

func checkTenant(_ *Env, _ Answers, v string) (string, error) {
	v = trim(v)
	switch {
	case isGUID(v):
		return strings.ToLower(v), nil
	case strings.Contains(v, "://"):
		return v, errors.New("this is a web address; give the Directory (tenant) ID or a domain such as contoso.onmicrosoft.com")
	case strings.Contains(v, "@"):
		return v, fmt.Errorf("this is an account; the tenant's domain may be %s", v[strings.LastIndex(v, "@")+1:])
	case strings.EqualFold(v, "common"), strings.EqualFold(v, "organizations"), strings.EqualFold(v, "consumers"):
		return v, fmt.Errorf("%q names no tenant; give the Directory (tenant) ID or a domain such as contoso.onmicrosoft.com", v)
	case domainPattern().MatchString(v):
		return strings.ToLower(v), nil
	}
	return v, errors.New("neither a tenant ID (36 characters, Overview page: Directory (tenant) ID) nor a domain such as contoso.onmicrosoft.com")
}

func lookupTenant(ctx context.Context, env *Env, a Answers) (note, resolved string, err error) {
	typed := a.Get(keyTenantID)
	if isGUID(typed) {
		// The tokens of the Configuration step prove an id; asking twice costs a round trip.
		return "", typed, nil
	}
	cl, err := env.Clouds.Find(a.Get(keyCloud))
	if err != nil {
		return "", "", err
	}
	client, err := env.HTTP(cl)
	if err != nil {
		return "", "", &OutsideError{Err: err}
	}
	tenant, err := entra.ResolveTenant(ctx, client, cl, typed)
	if err != nil && !aboutTenant(err) {
		err = &OutsideError{Err: err}
	}
	if err != nil {
		return "", "", err
	}
	return "→ " + tenant.ID + " (found)", tenant.ID, nil
}

// OutsideError is a look-up that failed for a reason that no other answer would
// mend: the network, the service, this machine's settings.
type OutsideError struct{ Err error }

func (e *OutsideError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *OutsideError) Unwrap() error { return e.Err }

// aboutTenant reports whether Entra ID's refusal is about the tenant that was named.
func aboutTenant(err error) bool {
	var name *entra.TenantNameError
	var refused *entra.Error
	if errors.As(err, &refused) {
		return slices.Contains([]int{90002, 900023, 90038, 900382, 900432, 90019, 50059, 50128}, refused.Code())
	}
	return errors.As(err, &name)
}

func checkClientSecret(_ Answers, v connections.Secret) error {
	s := trim(string(v.Reveal()))
	switch {
	case isGUID(s):
		return errors.New("this looks like the Secret ID; copy the Value instead (Entra shows it only right after the secret was made; if it is gone, make a new secret)")
	case strings.ContainsAny(s, " \t\r\n"):
		return errors.New("there is white space inside; a client secret is one word of some 40 characters")
	case len(s) < 8:
		return errors.New("too short for a client secret: its value has some 40 characters")
	}
	return nil
}

func checkThumbprint(_ *Env, _ Answers, v string) (string, error) {
	t, err := certs.ParseThumbprint(v)
	return string(t), err
}

func lookupThumbprint(ctx context.Context, env *Env, a Answers) (note, resolved string, err error) {
	entry, err := env.Personal.Find(ctx, certs.Thumbprint(a.Get(keyThumbprint)))
	if err != nil {
		return "", "", err
	}
	return describe(entry.Certificate), string(certs.ThumbprintOf(entry.Certificate)), nil
}

func suggestThumbprints(ctx context.Context, env *Env, _ Answers) []Option {
	entries, err := env.Personal.List(ctx)
	if err != nil {
		return nil // an unreadable store is reported when a thumbprint is looked up in it
	}
	var options []Option
	for _, e := range entries {
		if !e.HasKey || e.Certificate == nil {
			continue
		}
		options = append(options, Option{Value: string(certs.ThumbprintOf(e.Certificate)), Title: describe(e.Certificate)})
	}
	return options
}

// describe names a certificate in a line: thumbprint, subject, end.
func describe(c *x509.Certificate) string {
	return fmt.Sprintf("%s… %s, until %s", certs.ThumbprintOf(c)[:8], certs.SubjectOf(c), c.NotAfter.UTC().Format(time.DateOnly))
}

func lookupCertFile(_ context.Context, env *Env, a Answers) (note, resolved string, err error) {
	id, err := identityFromFile(env, a)
	if err != nil {
		return "", "", err
	}
	return describe(id.Certificate), string(id.Thumbprint()), nil
}

func identityFromFile(env *Env, a Answers) (certs.Identity, error) {
	data, err := env.ReadFile(expandHome(env, a.Get(keyCertFile)))
	if err != nil {
		return certs.Identity{}, err
	}
	return certs.Parse(data, string(a[keyCertPassword].Secret.Reveal()))
}

func expandHome(env *Env, path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok && env.Getenv != nil {
		if home := env.Getenv("HOME"); home != "" {
			return filepath.Join(home, rest)
		}
	}
	return path
}

// aSecret is what a reference stands for that holds a client secret.
const aSecret = "client-secret"

func checkReference(_ *Env, _ Answers, v string) (string, error) {
	v = strings.TrimSpace(v)
	for _, scheme := range []string{"file:", "env:", "exec:"} {
		if rest, ok := strings.CutPrefix(v, scheme); ok && strings.TrimSpace(rest) != "" {
			return v, nil
		}
	}
	return v, errors.New("a reference begins with file:, env: or exec:, for example file:/etc/c2conn/app.pfx")
}

func lookupReference(ctx context.Context, env *Env, a Answers) (note, resolved string, err error) {
	cred, err := credentialFromReference(ctx, env, a)
	if err != nil {
		return "", "", err
	}
	if cred.Identity != nil {
		return describe(cred.Identity.Certificate), string(cred.Identity.Thumbprint()), nil
	}
	return "a client secret", aSecret, nil
}

// credentialFromReference reads what the reference points at and tells a
// certificate from a client secret by the content.
func credentialFromReference(ctx context.Context, env *Env, a Answers) (entra.Credential, error) {
	raw, err := env.Store.SecretBytes(ctx, connections.Ref(a.Get(keyReference)))
	if err != nil {
		return entra.Credential{}, err
	}
	id, err := certs.Parse(raw.Reveal(), string(a[keyCertPassword].Secret.Reveal()))
	if errors.Is(err, certs.ErrNotACertificate) {
		// As entra.LoadCredential reads it later: what is verified now must be what is used then.
		text := connections.NewSecret(bytes.TrimSpace(bytes.TrimPrefix(raw.Reveal(), []byte("\ufeff"))))
		return entra.Credential{Secret: text}, checkClientSecret(a, text)
	}
	if err != nil {
		return entra.Credential{}, err
	}
	return entra.Credential{Identity: &id}, nil
}

func checkName(_ *Env, _ Answers, v string) (string, error) {
	v = strings.TrimSpace(v)
	return v, connections.ValidName(v)
}

func lookupName(ctx context.Context, env *Env, a Answers) (note, resolved string, err error) {
	name := a.Get(keyName)
	_, err = env.profiles().Get(ctx, name)
	switch {
	case errors.Is(err, connections.ErrNotFound):
		return "", name, nil
	case err == nil:
		return "", "", fmt.Errorf("%w: choose another name, or see what it is with: c2conn show %s", connections.ErrExists, advice.ShellWord(name))
	}
	return "", "", err
}

// proposeName makes a name from the account's domain, or else from the host in the
// first of the answers that has one: contoso-exchange.
func proposeName(a Answers, suffix string, others ...string) string {
	_, name, _ := strings.Cut(a.Get(keyAccount), "@")
	for _, key := range others {
		name = cmp.Or(name, strings.TrimPrefix(a.Get(key), "https://"))
	}
	label, _, _ := strings.Cut(name, ".")
	if name := label + "-" + suffix; label != "" && connections.ValidName(name) == nil {
		return name
	}
	return ""
}
