// Package move packs connections into bundles and unpacks them: where each secret is
// fetched from, what is in the way on the other computer, and that nothing is left
// half there. It prints nothing and never asks.
package move

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/connections/bundle"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/entra"
)

// Place is where connections come from or go to: the stores of this user.
type Place struct {
	Store    *connections.Store
	Personal certs.Store
	Clouds   *cloud.Set
}

// PackOptions say what travels along.
type PackOptions struct {
	WithoutSecrets bool   // profiles only, with their references
	EmbedFiles     bool   // what file: references point to travels along, too
	MadeBy         string // program and version
	Now            time.Time
}

// Failure is a connection that was left out, and why.
type Failure struct {
	Connection connections.Connection
	Err        error
}

// Pack makes a bundle of connections. One whose secret is not to be had (a key that
// cannot be exported, a damaged file) is left out and told; the others go on. The error
// is that of ctx, or of a cloud that cannot be written.
func (p Place) Pack(ctx context.Context, list []connections.Connection, o PackOptions) (bundle.Bundle, []Failure, error) {
	b := bundle.Bundle{MadeAt: o.Now, MadeBy: o.MadeBy}
	var failed []Failure
	for _, c := range list {
		if ctx.Err() != nil {
			return b, failed, context.Cause(ctx)
		}
		item, err := p.pack(ctx, c, o)
		var in cloud.Cloud
		if err == nil && c.Location == connections.Online {
			in, err = p.Clouds.Find(c.Cloud)
		}
		if ctx.Err() != nil {
			return b, failed, context.Cause(ctx)
		}
		if err != nil {
			failed = append(failed, Failure{Connection: c, Err: err})
			continue
		}
		b.Items = append(b.Items, item)
		known := slices.ContainsFunc(b.Clouds, func(x bundle.Cloud) bool { return x.Name == in.Name })
		if in.Name == "" || in.BuiltIn || known {
			continue
		}
		definition, err := in.Definition()
		if err != nil {
			return b, failed, err
		}
		b.Clouds = append(b.Clouds, bundle.Cloud{Name: in.Name, Definition: string(definition)})
	}
	return b, failed, nil
}

// pack fetches the secrets of one connection and takes the references to them out.
func (p Place) pack(ctx context.Context, c connections.Connection, o PackOptions) (bundle.Item, error) {
	item := bundle.Item{Connection: c}
	if o.WithoutSecrets {
		return item, nil
	}
	travels := func(r connections.Ref) bool {
		switch r.Scheme() {
		case connections.SchemeFile:
			return o.EmbedFiles
		case connections.SchemeEnv, connections.SchemeExec:
			return false
		}
		return true
	}
	if r := c.LegacyAdmin.Password; r != "" && travels(r) {
		secret, err := p.Store.Secret(ctx, r)
		if err != nil {
			return item, err
		}
		item.Secrets.LegacyPassword, item.Connection.LegacyAdmin.Password = secret, ""
	}
	if c.Credential.Type == connections.TypeTicketCache || !travels(c.Credential.Secret) {
		return item, nil
	}
	if err := p.packCredential(ctx, c, &item.Secrets); err != nil {
		return item, err
	}
	item.Connection.Credential.Secret, item.Connection.Credential.Password = "", ""
	return item, nil
}

func (p Place) packCredential(ctx context.Context, c connections.Connection, s *bundle.Secrets) (err error) {
	if c.Credential.Type == connections.TypePassword {
		s.Password, err = p.Store.Secret(ctx, c.Credential.Secret)
		return err
	}
	cred, err := entra.LoadCredential(ctx, p.Store, p.Personal, c)
	if err != nil {
		return err
	}
	if cred.Identity == nil {
		s.ClientSecret = cred.Secret
		return nil
	}
	if s.PrivateKey, err = cred.Identity.KeyPEM(); err != nil {
		return err
	}
	s.Certificate, s.Chain = string(cred.Identity.CertificatePEM()), string(cred.Identity.ChainPEM())
	return nil
}

// identity is the certificate of an item, after checking that it is the one that the
// profile names.
func identity(item bundle.Item) (certs.Identity, error) {
	s := item.Secrets
	id, err := certs.Parse(slices.Concat(s.PrivateKey.Reveal(), []byte("\n"+s.Certificate+"\n"+s.Chain)), "")
	if err != nil {
		return id, fmt.Errorf("the certificate in the bundle: %w", err)
	}
	for _, want := range []string{item.Connection.Credential.Thumbprint, item.Connection.Credential.ThumbprintSHA256} {
		if want == "" {
			continue
		}
		if t, err := certs.ParseThumbprint(want); err != nil || !t.Matches(id.Certificate) {
			return id, errors.New("the certificate in the bundle is not the one that the profile names")
		}
	}
	return id, nil
}
