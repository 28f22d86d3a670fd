package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/c2conn/c2conn/internal/sim"
)

// kit is what a command needs to use a world: files in a folder, and variables.
type kit struct {
	dir  string
	vars []variable
}

type variable struct{ name, value string }

type secretFile struct {
	name, variable string
	data           []byte
}

// newKit writes the files; all are for the owner's eyes only. Of several tenants each
// has a folder of its own, and a list of them names what is in it.
func newKit(world *sim.World, dir string) (*kit, error) {
	k, err := tenantKit(world, dir)
	if err != nil || len(world.Tenants()) == 1 {
		return k, err
	}
	var list []map[string]string
	for i, tenant := range world.Tenants() {
		of := k
		if i > 0 {
			own := filepath.Join(dir, strings.TrimSuffix(tenant.TenantDomain, ".onmicrosoft.com"))
			if err := os.MkdirAll(own, 0o700); err != nil {
				return nil, fmt.Errorf("make a folder for the files: %w", err)
			}
			if of, err = tenantKit(tenant, own); err != nil {
				return nil, err
			}
		}
		values := map[string]string{"name": tenant.Title()}
		for _, v := range of.vars {
			values[strings.ToLower(strings.TrimPrefix(v.name, "SIM_"))] = v.value
		}
		list = append(list, values)
	}
	text, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("describe the tenants: %w", err)
	}
	path := filepath.Join(dir, "tenants.json")
	if err := os.WriteFile(path, append(text, '\n'), 0o600); err != nil {
		return nil, fmt.Errorf("write tenants.json: %w", err)
	}
	k.vars = append(k.vars, variable{"SIM_TENANTS_FILE", path})
	return k, nil
}

// tenantKit writes the files of one tenant.
func tenantKit(world *sim.World, dir string) (*kit, error) {
	k := &kit{dir: dir}
	token, err := world.AdminToken(world.Account(sim.GlobalAdmin))
	if err != nil {
		return nil, fmt.Errorf("make the administrator's token: %w", err)
	}
	pem, err := world.Certificate.PEM()
	if err != nil {
		return nil, err
	}
	files := []secretFile{
		{"certificate.pem", "SIM_CERT_PEM_FILE", pem},
		{"client-secret.txt", "SIM_CLIENT_SECRET_FILE", []byte(world.Secret)},
		{"certificate.pfx", "SIM_CERT_FILE", world.PFX},
		{"certificate-password.txt", "SIM_CERT_PASSWORD_FILE", []byte(sim.PFXPassword)},
		{"admin-token.txt", "SIM_ADMIN_TOKEN_FILE", []byte(token)},
		{"ca.pem", "SIM_CA_FILE", world.CAPEM()},
		{"cloud.yaml", "SIM_CLOUD_FILE", world.CloudYAML()},
	}
	k.vars = []variable{{"SIM_TENANT_ID", world.TenantID}, {"SIM_TENANT_DOMAIN", world.TenantDomain}, {"SIM_CLIENT_ID", world.ClientID}, {"SIM_MAILBOX", world.Mailbox},
		{"SIM_LOGIN_URL", world.LoginURL()}, {"SIM_GRAPH_URL", world.GraphURL()}, {"SIM_OUTLOOK_URL", world.OutlookURL()}, {"SIM_SHAREPOINT_URL", world.SharePointSite()}}
	for _, of := range []struct{ kind, app string }{{"SHAREPOINT", sim.AppSharePoint}, {"SOURCE", sim.AppMigrationSource}, {"TARGET", sim.AppMigrationTarget}} {
		app, ok := world.App(of.app)
		if !ok {
			return nil, fmt.Errorf("the tenant has no application %q", of.app)
		}
		k.vars = append(k.vars, variable{"SIM_" + of.kind + "_CLIENT_ID", app.ClientID})
		files = append(files, secretFile{of.app + "-secret.txt", "SIM_" + of.kind + "_SECRET_FILE", []byte(app.Secret)})
	}
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		if err := os.WriteFile(path, f.data, 0o600); err != nil {
			return nil, fmt.Errorf("write %s: %w", f.name, err)
		}
		k.vars = append(k.vars, variable{f.variable, path})
	}
	return k, nil
}

// home prepares C2CONN_HOME: the user's own, or a fresh one beside the files.
// The function that comes with it takes the cloud definition out again.
func (k *kit) home(world *sim.World, environ []string) (func() error, error) {
	home, _ := lookup(environ, "C2CONN_HOME")
	identity := filepath.Join(home, "sim-identity.txt") // a home that stays needs a key that stays
	if home == "" {
		home, identity = filepath.Join(k.dir, "home"), filepath.Join(k.dir, "identity.txt")
	}
	_, passphrase := lookup(environ, "C2CONN_PASSPHRASE")
	_, given := lookup(environ, "C2CONN_IDENTITY_FILE")
	if !passphrase && !given { // even an empty value is the caller's choice
		k.vars = append(k.vars, variable{"C2CONN_IDENTITY_FILE", identity})
	}
	k.vars = append(k.vars, variable{"C2CONN_HOME", home}, variable{"C2CONN_CLOUD", "sim"})
	path := filepath.Join(home, "clouds", "sim.yaml")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("prepare C2CONN_HOME: %w", err)
	}
	before, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("prepare C2CONN_HOME: %w", err)
	}
	existed := err == nil
	if err := os.WriteFile(path, world.CloudYAML(), 0o600); err != nil {
		return nil, fmt.Errorf("write the cloud definition: %w", err)
	}
	return func() error {
		if existed {
			return os.WriteFile(path, before, 0o600)
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}, nil
}

// environ is the environment of the command: ours, with the variables set.
func (k *kit) environ(base []string) []string {
	out := make([]string, 0, len(base)+len(k.vars))
	for _, entry := range base {
		name, _, _ := strings.Cut(entry, "=")
		replaced := false
		for _, v := range k.vars {
			replaced = replaced || v.name == name
		}
		if !replaced {
			out = append(out, entry)
		}
	}
	for _, v := range k.vars {
		out = append(out, v.name+"="+v.value)
	}
	return out
}

// exports is the same as a block for a POSIX shell.
func (k *kit) exports() string {
	var b strings.Builder
	for _, v := range k.vars {
		b.WriteString("export " + v.name + "='" + strings.ReplaceAll(v.value, "'", `'\''`) + "'\n")
	}
	return b.String()
}

// lookup finds a variable; the last one counts, as in os/exec.
func lookup(environ []string, name string) (string, bool) {
	for i := len(environ) - 1; i >= 0; i-- {
		if value, ok := strings.CutPrefix(environ[i], name+"="); ok {
			return value, true
		}
	}
	return "", false
}
