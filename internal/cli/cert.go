package cli

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/wizard"
)

func newCert(a *app) *cobra.Command {
	return parent("cert", "Make, import and export certificates", groupKeys,
		"  c2conn cert new --out app.cer\n  c2conn cert import app.pfx --password-file app.pass\n  c2conn cert list",
		newCertNew(a), newCertImport(a), newCertList(a), newCertExport(a), newCertDelete(a))
}

type certJSON struct {
	Thumbprint       string    `json:"thumbprint"`
	ThumbprintSHA256 string    `json:"thumbprint_sha256"`
	Subject          string    `json:"subject"`
	NotBefore        time.Time `json:"not_before"`
	NotAfter         time.Time `json:"not_after"`
	KeyBits          int       `json:"key_bits"`
	HasKey           bool      `json:"has_key"`
	UsedBy           []string  `json:"used_by"`
	File             string    `json:"file,omitempty"`
}

func (a *app) certJSON(e certs.Entry, usedBy []string) certJSON {
	if usedBy == nil {
		usedBy = []string{}
	}
	c := e.Certificate
	doc := certJSON{
		Thumbprint: thumbprint(e), ThumbprintSHA256: string(certs.ThumbprintSHA256Of(c)), Subject: certs.SubjectOf(c),
		NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(), HasKey: e.HasKey, UsedBy: usedBy,
	}
	if key, ok := c.PublicKey.(*rsa.PublicKey); ok {
		doc.KeyBits = key.N.BitLen()
	}
	return doc
}

func thumbprint(e certs.Entry) string { return string(certs.ThumbprintOf(e.Certificate)) }

func newCertNew(a *app) *cobra.Command {
	var name, valid, out string
	var bits int
	cmd := &cobra.Command{
		Use: "new", Short: "Make a self-signed certificate in the personal store",
		Long: `Makes an RSA key and a self-signed certificate and keeps both in the personal
store. Upload the public part, written with --out, in the Entra admin centre:
App registrations, your application, Certificates & secrets, Upload certificate.`,
		Example: "  c2conn cert new --out c2conn.cer\n  c2conn cert new --name \"Contoso backup\" --valid 365d --out c2conn.cer",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			validity, err := certs.ParseValidity(valid)
			if err != nil {
				return &usageError{err: fmt.Errorf("--valid: %w", err), command: cmd.CommandPath()}
			}
			if bits != 2048 && bits != 3072 && bits != 4096 {
				return &usageError{err: fmt.Errorf("--bits %d: an RSA key has 2048, 3072 or 4096 bits here; Entra ID refuses shorter ones", bits), command: cmd.CommandPath()}
			}
			store, err := a.store()
			if err != nil {
				return err
			}
			if err := store.SecretsReady(cmd.Context()); err != nil {
				return err
			}
			if _, err := os.Lstat(out); out != "" && err == nil {
				return &usageError{err: fmt.Errorf("--out: %s exists already; nothing was made", out), command: cmd.CommandPath()}
			}
			id, err := certs.Generate(a.Rand, a.Clock.Now(), certs.NewOptions{CommonName: name, Valid: validity, Bits: bits})
			if err != nil {
				return err
			}
			return a.keepCertificate(cmd.Context(), id, out, "Made")
		},
	}
	cmd.Flags().StringVar(&name, "name", "c2conn", "common name in the certificate's subject")
	cmd.Flags().StringVar(&valid, "valid", "5y", "how long it is valid: 5y, 18mo, 365d")
	cmd.Flags().IntVar(&bits, "bits", 2048, "length of the RSA key: 2048, 3072 or 4096")
	cmd.Flags().StringVar(&out, "out", "", "also write the public certificate to this file (PEM), for the upload")
	_ = cmd.MarkFlagFilename("out")
	return cmd
}

// keepCertificate imports an identity into the personal store and shows it.
func (a *app) keepCertificate(ctx context.Context, id certs.Identity, out, verb string) error {
	personal, err := a.personalStore()
	if err != nil {
		return err
	}
	entry, err := personal.Import(ctx, id)
	if err != nil {
		return err
	}
	doc := a.certJSON(entry, nil)
	if out != "" {
		if err := writeNew(out, id.CertificatePEM(), 0o644); err != nil {
			return refuse("the certificate is in the personal store, but its public part could not be written (%s); write it with: c2conn cert export %s --out FILE", clean(err.Error()), doc.Thumbprint)
		}
		doc.File = out
	}
	return a.print(printable{value: doc, name: doc.Thumbprint, table: func() string {
		rows := [][]string{
			{verb, doc.Subject},
			{"Thumbprint", doc.Thumbprint},
			{"SHA-256", doc.ThumbprintSHA256},
			{"Key", fmt.Sprintf("RSA, %d bits", doc.KeyBits)},
			{"Valid until", doc.NotAfter.Format(time.DateOnly)},
		}
		text := columns(rows)
		if doc.File != "" {
			text += "\nUpload " + doc.File + ": Entra admin centre › App registrations › your application ›\nCertificates & secrets › Certificates › Upload certificate.\n"
		} else if verb == "Made" {
			text += "\nWrite its public part for the upload: c2conn cert export " + doc.Thumbprint[:12] + " --out FILE.cer\n"
		}
		return text
	}})
}

// passwordFlags are the ways to give the password of a certificate file.
type passwordFlags struct {
	file  string
	stdin bool
}

func (p *passwordFlags) add(cmd *cobra.Command, what string) {
	cmd.Flags().StringVar(&p.file, "password-file", "", "file with the password of the "+what+" (or variable C2CONN_CERT_PASSWORD)")
	cmd.Flags().BoolVar(&p.stdin, "password-stdin", false, "read the password of the "+what+" from standard input")
	cmd.MarkFlagsMutuallyExclusive("password-file", "password-stdin")
}

// read returns the password and whether one was given.
func (p *passwordFlags) read(ctx context.Context, a *app) (connections.Secret, bool, error) {
	switch {
	case p.file != "":
		data, err := a.ReadFile(p.file)
		return wizard.SecretText(data), true, err
	case p.stdin:
		data, err := io.ReadAll(io.LimitReader(a.secretInput(ctx), 1<<20))
		return wizard.SecretText(data), true, err
	}
	if v := a.Getenv("C2CONN_CERT_PASSWORD"); v != "" {
		return connections.NewSecret(v), true, nil
	}
	return connections.Secret{}, false, nil
}

func newCertImport(a *app) *cobra.Command {
	var password passwordFlags
	var choose string
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Import a certificate with its key into the personal store",
		Long: `Imports a PFX (.pfx, .p12) or PEM file that holds a certificate and its private
RSA key of 2048 bits or more. The key is encrypted in c2conn's store; on Windows it
goes to the certificate store of the user (CurrentUser\My).`,
		Example: "  c2conn cert import app.pfx --password-file app.pass\n  c2conn cert import app.pem",
		Args:    oneArgument("a file, or - for standard input"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if password.stdin && args[0] == "-" {
				return &usageError{err: errors.New("standard input cannot hold both the file and its password; use --password-file"), command: cmd.CommandPath()}
			}
			data, err := a.readInput(args[0])
			if err != nil {
				return err
			}
			secret, given, err := password.read(cmd.Context(), a)
			if err != nil {
				return err
			}
			wanted := certs.Thumbprint("")
			if choose != "" {
				if wanted, err = certs.ParseThumbprint(choose); err != nil {
					return &usageError{err: fmt.Errorf("--thumbprint: %w", err), command: cmd.CommandPath()}
				}
			}
			id, err := certs.ParseChosen(data, string(secret.Reveal()), wanted)
			if errors.Is(err, certs.ErrPasswordNeeded) && !given && a.canAsk() {
				if secret, err = a.readPassword(cmd.Context(), "Password of "+filepath.Base(args[0])+": "); err != nil {
					return err
				}
				id, err = certs.ParseChosen(data, string(secret.Reveal()), wanted)
			}
			switch {
			case errors.Is(err, certs.ErrPasswordNeeded):
				return &usageError{err: fmt.Errorf("%s is protected with a password; give it with --password-file FILE or --password-stdin", args[0]), command: cmd.CommandPath()}
			case errors.Is(err, certs.ErrWrongPassword):
				return &usageError{err: fmt.Errorf("the password does not open %s; check capital letters and whether it belongs to this file", args[0]), command: cmd.CommandPath()}
			case err != nil:
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return a.keepCertificate(cmd.Context(), id, "", "Imported")
		},
	}
	password.add(cmd, "file")
	cmd.Flags().StringVar(&choose, "thumbprint", "", "which certificate, where the file holds several with their keys")
	return cmd
}

func newCertList(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the certificates of the personal store",
		Example: "  c2conn cert list\n  c2conn cert list --output json",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			personal, err := a.personalStore()
			if err != nil {
				return err
			}
			entries, err := personal.List(cmd.Context())
			if err != nil {
				return err
			}
			users, err := a.certificateUsers(cmd.Context())
			if err != nil {
				return err
			}
			list := []certJSON{}
			var names []string
			var damaged []error
			rows := [][]string{{"THUMBPRINT", "SUBJECT", "KEY", "EXPIRES", "USED BY"}}
			for _, e := range entries {
				if e.Certificate == nil {
					damaged = append(damaged, e.Err)
					continue
				}
				c := a.certJSON(e, usersOf(users, e))
				list, names = append(list, c), append(names, c.Thumbprint)
				key := fmt.Sprintf("%d bits", c.KeyBits)
				if !c.HasKey {
					key = "no key"
				}
				rows = append(rows, []string{c.Thumbprint, c.Subject, key, left(a.Clock.Now(), c.NotAfter), strings.Join(c.UsedBy, ", ")})
			}
			err = a.print(printable{value: map[string]any{"certificates": list}, name: strings.Join(names, "\n"), table: func() string {
				if len(list) == 0 {
					return "No certificates yet. Make one: c2conn cert new --out c2conn.cer\n"
				}
				return columns(rows)
			}})
			if err != nil {
				return err
			}
			return errors.Join(damaged...)
		},
	}
}

// certificateUsers tells which connections, saved or staged, use which certificate, by thumbprint.
func (a *app) certificateUsers(ctx context.Context) (map[string][]string, error) {
	store, err := a.store()
	if err != nil {
		return nil, err
	}
	entries, err := store.InUse(ctx)
	if err != nil {
		return nil, err
	}
	users := map[string][]string{}
	for _, e := range entries {
		if e.Err != nil {
			continue
		}
		for _, t := range []string{e.Connection.Credential.Thumbprint, e.Connection.Credential.ThumbprintSHA256} {
			if t = strings.ToUpper(t); t != "" {
				users[t] = append(users[t], e.Connection.Name)
			}
		}
	}
	return users, nil
}

// usersOf names the connections that use a certificate, by either thumbprint.
func usersOf(users map[string][]string, e certs.Entry) []string {
	both := append(slices.Clone(users[thumbprint(e)]), users[string(certs.ThumbprintSHA256Of(e.Certificate))]...)
	slices.Sort(both)
	return slices.Compact(both)
}

// certificate finds a certificate by a thumbprint or the beginning of one.
func (a *app) certificate(ctx context.Context, typed string) (certs.Store, certs.Entry, error) {
	personal, err := a.personalStore()
	if err != nil {
		return nil, certs.Entry{}, err
	}
	if thumb, err := certs.ParseThumbprint(typed); err == nil {
		entry, err := personal.Find(ctx, thumb)
		return personal, entry, err
	} else if len(typed) < 6 || len(typed) >= 40 {
		return nil, certs.Entry{}, &usageError{err: err, command: "c2conn cert"}
	}
	entries, err := personal.List(ctx)
	if err != nil {
		return nil, certs.Entry{}, err
	}
	var found []certs.Entry
	for _, e := range entries {
		if e.Certificate != nil && strings.HasPrefix(thumbprint(e), strings.ToUpper(typed)) {
			found = append(found, e)
		}
	}
	switch len(found) {
	case 1:
		return personal, found[0], nil
	case 0:
		return nil, certs.Entry{}, fmt.Errorf("no certificate of the personal store begins with %q; see c2conn cert list", clean(typed))
	}
	return nil, certs.Entry{}, fmt.Errorf("%d certificates begin with %q; type more of the thumbprint", len(found), clean(typed))
}

func (a *app) completeThumbprints(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	personal, err := a.personalStore()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	entries, err := personal.List(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []string
	for _, e := range entries {
		if e.Certificate != nil {
			out = append(out, thumbprint(e)+"\t"+certs.SubjectOf(e.Certificate))
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

func newCertExport(a *app) *cobra.Command {
	var password passwordFlags
	var out, format string
	var private bool
	cmd := &cobra.Command{
		Use: "export THUMBPRINT", Short: "Write a certificate to a file",
		Long: `Writes the public part of a certificate: PEM, or DER with --format der, to a file
or to standard output. With --private-key the file is a PFX that also holds the
private key; it needs a password and never goes to standard output.`,
		Example: "  c2conn cert export 3A9F12C0 --out c2conn.cer\n  c2conn cert export 3A9F12C0 --private-key --password-file new.pass --out c2conn.pfx",
		Args:    oneArgument("the thumbprint of a certificate"), ValidArgsFunction: a.completeThumbprints,
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "pem" && format != "der" {
				return &usageError{err: fmt.Errorf("--format %q is neither pem nor der", format), command: cmd.CommandPath()}
			}
			personal, entry, err := a.certificate(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			id := certs.Identity{Certificate: entry.Certificate}
			if private {
				return a.exportPrivate(cmd, personal, entry, password, out)
			}
			data := id.CertificatePEM()
			if format == "der" {
				data = entry.Certificate.Raw
			}
			if out == "" {
				if format == "der" && a.OutTerminal {
					return &usageError{err: errors.New("DER is no text for a terminal; give --out FILE"), command: cmd.CommandPath()}
				}
				if a.output == "json" {
					return a.print(printable{value: map[string]string{"thumbprint": thumbprint(entry), "der_base64": base64.StdEncoding.EncodeToString(entry.Certificate.Raw)}})
				}
				_, err := a.Out.Write(data)
				return connections.Full("standard output", err)
			}
			if err := writeNew(out, data, 0o644); err != nil {
				return err
			}
			return a.print(printable{value: a.certJSON(entry, nil), name: out, table: func() string { return "Wrote the public certificate to " + out + ".\n" }})
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "file to write; it must not exist yet")
	cmd.Flags().StringVar(&format, "format", "pem", "pem or der")
	cmd.Flags().BoolVar(&private, "private-key", false, "write a PFX that also holds the private key")
	password.add(cmd, "PFX")
	_ = cmd.MarkFlagFilename("out")
	return cmd
}

func (a *app) exportPrivate(cmd *cobra.Command, personal certs.Store, entry certs.Entry, password passwordFlags, out string) error {
	if out == "" {
		return &usageError{err: errors.New("a private key is written to a file only; give --out FILE"), command: cmd.CommandPath()}
	}
	secret, given, err := password.read(cmd.Context(), a)
	if err != nil {
		return err
	}
	if !given && a.canAsk() {
		secret, err = a.readPassword(cmd.Context(), "Password for the new PFX: ")
		given = err == nil
	}
	if err != nil {
		return err
	}
	if !given || secret.IsZero() {
		return &usageError{err: errors.New("a PFX with a private key needs a password; give --password-file or --password-stdin"), command: cmd.CommandPath()}
	}
	id, err := personal.Identity(cmd.Context(), entry)
	if err != nil {
		return err
	}
	pfx, err := id.PFX(string(secret.Reveal()))
	if err != nil {
		return err
	}
	if err := writeNew(out, pfx, 0o600); err != nil {
		return err
	}
	return a.print(printable{value: a.certJSON(entry, nil), name: out, table: func() string {
		return "Wrote the certificate and its private key to " + out + ". Whoever has the file and its password can sign in as the application.\n"
	}})
}

// writeNew writes a file that must not exist yet, and leaves none when it fails.
func writeNew(path string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(connections.Full(path, err), os.Remove(path))
	}
	return nil
}

func newCertDelete(a *app) *cobra.Command {
	var yes, force bool
	cmd := &cobra.Command{
		Use: "delete THUMBPRINT", Aliases: []string{"rm"}, Short: "Delete a certificate and its key from the personal store",
		Long: `Deletes a certificate and its private key from the personal store, after asking.
A certificate that a connection uses is kept unless --force is given. The entry in
Entra ID stays.`,
		Example: "  c2conn cert delete 3A9F12C0\n  c2conn cert delete 3A9F12C0 --yes",
		Args:    oneArgument("the thumbprint of a certificate"), ValidArgsFunction: a.completeThumbprints,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			personal, entry, err := a.certificate(ctx, args[0])
			if err != nil {
				return err
			}
			thumb := thumbprint(entry)
			users, err := a.certificateUsers(ctx)
			if err != nil {
				return err
			}
			if used := usersOf(users, entry); len(used) > 0 && !force {
				return refuse("the certificate is used by %s; delete these connections first, or give --force", strings.Join(used, ", "))
			}
			question := fmt.Sprintf("Delete %s (%s) and its private key? There is no other copy here.", certs.SubjectOf(entry.Certificate), thumb)
			if err := a.confirm(ctx, yes, question); err != nil {
				return err
			}
			if err := personal.Delete(ctx, certs.Thumbprint(thumb)); err != nil {
				return err
			}
			return a.print(printable{value: map[string]string{"deleted": thumb}, name: thumb, table: func() string {
				return "Deleted certificate " + thumb + " from the personal store. Its entry in Entra ID stays.\n"
			}})
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&force, "force", false, "delete it even when a connection uses it")
	return cmd
}
