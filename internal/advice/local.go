package advice

import (
	"errors"
	"strings"
	"sync"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/ews"
	"github.com/c2conn/c2conn/internal/transport"
)

// localEntry is the advice for an error of this computer: files, the store, the keychain.
type localEntry struct {
	err error
	row row
}

// localRows is made when it is first needed: most runs meet none of its errors.
var localRows = sync.OnceValue(func() []localEntry {
	return []localEntry{
		{certs.ErrPasswordNeeded, row{
			what: "The certificate file is protected with a password.",
			why:  "Its private key is encrypted.",
			next: []string{"Give the password in a file: --cert-password-file FILE", "{again}"}, class: ClassUsage,
		}},
		{certs.ErrWrongPassword, row{
			what: "The password does not open the certificate file.",
			why:  "It is mistyped or belongs to another file. A damaged file looks the same.",
			next: []string{"Check capital letters and the keyboard layout.", "If the password is right, export the certificate again.", "{again}"}, class: ClassUsage,
		}},
		{certs.ErrNoKey, row{
			what: "The file holds a certificate without its private key.",
			why:  "Signing in needs the key. A .cer or .crt file is the public part, which is meant for uploading to Entra ID.",
			next: []string{"Export the certificate again with the private key (a .pfx file).", "Or make a new one:", "$ c2conn cert new", "{again}"}, class: ClassUsage,
		}},
		{certs.ErrNotACertificate, row{
			what: "The file holds no certificate.",
			why:  "c2conn reads PFX files (.pfx, .p12) and PEM files with a certificate and its private key.",
			next: []string{"Check that you named the right file.", "{again}"}, class: ClassUsage,
		}},
		{certs.ErrKeyMismatch, row{
			what: "The private key does not belong to the certificate.",
			why:  "The two come from different exports or renewals.",
			next: []string{"Take the certificate and the key from the same export.", "{again}"}, class: ClassUsage,
		}},
		{certs.ErrTooLarge, row{
			what: "The file is too large to be a certificate.",
			why:  "Certificate files have a few kilobytes.",
			next: []string{"Check that you named the right file.", "{again}"}, class: ClassUsage,
		}},
		{certs.ErrTooCostly, row{
			what: "The certificate file was not opened.",
			why:  "Testing its password would take an unreasonable amount of work, as in a file made to do harm.",
			next: []string{"Export the certificate again.", "{again}"}, class: ClassUsage,
		}},
		{certs.ErrUnsupportedFormat, row{
			what: "The certificate file is in a form that c2conn does not read.",
			why:  "It is of the right sort, but encrypted or built in an unusual way.",
			next: []string{"Convert it to a PFX file: openssl pkcs12 -export, or Export-PfxCertificate on Windows.", "{again}"}, class: ClassUsage,
		}},
		{certs.ErrNotExportable, row{
			what: "The private key cannot be exported.",
			why:  "It never leaves the store that keeps it.",
			next: []string{"Use the certificate by its thumbprint on this computer.", "For another computer make another certificate there:", "$ c2conn cert new"}, class: ClassOther,
		}},
		{certs.ErrNotFound, row{
			what:  "The personal certificate store holds no certificate {thumbprint}.",
			short: "not in the personal certificate store",
			why:   "It was imported on another computer or by another user, or deleted.",
			next:  []string{"Look what is there:", "$ c2conn cert list", "Import it: c2conn cert import FILE", "{again}"}, class: ClassUsage,
		}},
		{connections.ErrNoKeyring, row{
			what: "There is no safe place to keep the secret.",
			why:  "The keychain cannot be used, and no passphrase was given. c2conn never writes a secret in plain text.",
			next: []string{
				"If this computer has a desktop session, unlock its keychain.",
				"Set a passphrase in the environment variable C2CONN_PASSPHRASE; the secrets are then encrypted with it.",
				"Or do not store the secret, only say where it is: env:NAME, file:PATH or exec:COMMAND.",
				"{again}",
			}, class: ClassOther,
		}},
		{connections.ErrPassphraseNeeded, row{
			what:  "The saved secrets are locked with a passphrase, and none was given.",
			short: "the secrets are locked with a passphrase",
			why:   "Without it they cannot be read. There is no way around it.",
			next:  []string{"Set it in the environment variable C2CONN_PASSPHRASE, or run c2conn in a terminal, where it asks.", "{again}"}, class: ClassUsage,
		}},
		{connections.ErrWrongPassphrase, row{
			what: "The passphrase is wrong.",
			why:  "It does not open the saved secrets.",
			next: []string{"Check capital letters, the keyboard layout and the variable C2CONN_PASSPHRASE.", "{again}"}, class: ClassUsage,
		}},
		{connections.ErrIdentityMissing, row{
			what: "The key to the saved secrets is gone.",
			why:  "The keychain entry or identity file to which they are encrypted was deleted, or the files were copied from another computer.",
			next: []string{"Restore the keychain or the folder secrets from a backup.", "Otherwise give the secrets again: make the connections anew.", "{again}"}, class: ClassOther,
		}},
		{connections.ErrNotFound, row{
			what: "There is no connection or secret of that name.",
			why:  "It was renamed or deleted, or another state folder is in use (C2CONN_HOME).",
			next: []string{"See which there are:", "$ c2conn list"}, class: ClassUsage,
		}},
		{connections.ErrExists, row{
			what: "A connection of that name exists already.",
			why:  "Names are compared without regard to capitals.",
			next: []string{"Choose another name, or look at the one that is there:", "$ c2conn list"}, class: ClassUsage,
		}},
		{connections.ErrChanged, row{
			what: "Another program changed the connection at the same time.",
			why:  "c2conn did not overwrite its work.",
			next: []string{"{again}"}, class: ClassOther,
		}},
		{cloud.ErrUnknown, row{
			what: "There is no cloud of that name.", why: "Built in are global, usgov, dod and china; others are defined by you.",
			next: []string{"See which there are:", "$ c2conn cloud list"}, class: ClassUsage,
		}},
		{cloud.ErrExists, row{
			what: "A cloud of that name is defined already.", why: "Connections may use it, so it is not replaced unasked.",
			next: []string{"Give --replace, or another name.", "$ c2conn cloud list"}, class: ClassUsage,
		}},
		{cloud.ErrBuiltIn, row{
			what: "That cloud is built in.", why: "Its hosts are Microsoft's; they can be neither replaced nor removed.",
			next: []string{"Give your cloud another name."}, class: ClassUsage,
		}},
		{cloud.ErrRetired, row{
			what: "Microsoft Cloud Deutschland was retired on 2021-10-29.", why: "Its tenants were moved to the worldwide cloud.",
			next: []string{"Use --cloud global."}, class: ClassUsage,
		}},
		{entra.ErrOneCredential, row{
			what:  "Exactly one credential is needed: a certificate or a client secret.",
			short: "exactly one credential is needed",
			why:   "Both were given, or neither.",
			next:  []string{"Give one of --cert-file, --cert-thumbprint, --client-secret-file and --client-secret-stdin.", "{again}"}, class: ClassUsage,
		}},
	}
})

// fromLocal finds the advice for an error of this computer.
func fromLocal(err error) (judgement, bool) {
	var (
		several     *certs.SeveralError
		small       *certs.KeyTooSmallError
		unsupported *certs.UnsupportedKeyError
		thumb       *certs.ThumbprintError
		damaged     *connections.DamagedError
		newer       *connections.NewerSchemaError
		permission  *connections.PermissionError
		full        *connections.FullError
		locked      *connections.LockedError
		keychain    *connections.KeychainError
		reference   *connections.ReferenceError
		field       *connections.FieldError
		definition  *cloud.DefinitionError
		tenant      *entra.TenantNameError
		sign        *entra.SignError
		mismatch    *entra.MismatchError
		mailbox     *ews.MailboxError
	)
	own := func(class Class, what string, e error, next ...string) (judgement, bool) {
		return judgement{row: row{what: what, why: sentence(e), next: next, class: class}}, true
	}
	var secret *entra.SecretError
	if errors.As(err, &secret) && errors.Is(err, connections.ErrNotFound) {
		return judgement{row: row{
			what: "The " + secret.What + " of this connection is gone from c2conn's store.",
			why:  "The profile refers to it, but its encrypted file in the folder secrets does not exist any more.",
			next: []string{"Restore the folder secrets from a backup of c2conn's state, if there is one.", "Else give the credential again: {edit}"}, class: ClassOther,
		}}, true
	}
	switch {
	case errors.As(err, &several) && len(several.Candidates) == 0: // nothing to choose from
		return own(ClassUsage, "The file holds several private keys.", several, "Export the certificate you need, with its key, to a file of its own.", "{again}")
	case errors.As(err, &several):
		return own(ClassUsage, "The file holds several certificates with private keys.", several, "Import the one you need (its thumbprint stands above):", "$ c2conn cert import FILE --thumbprint THUMBPRINT", "Then give --cert-thumbprint THUMBPRINT instead of --cert-file.")
	case errors.As(err, &small):
		return own(ClassUsage, "The certificate's key is too short.", small, "Make a new certificate:", "$ c2conn cert new", "Upload its public part: {credentials}", "{again}")
	case errors.As(err, &unsupported):
		return own(ClassUsage, "The certificate's key is of a kind Entra ID does not take.", unsupported, "Make a new certificate:", "$ c2conn cert new", "Upload its public part: {credentials}", "{again}")
	case errors.As(err, &thumb):
		return own(ClassUsage, "This is no certificate thumbprint.", thumb, "Copy the thumbprint from Certificates & secrets or from c2conn cert list.")
	// A reference's cause may be one of the rows, so it is looked at after them.
	case errors.As(err, &damaged):
		return own(ClassOther, "A file of c2conn is damaged and was left as it is.", damaged, "Mend the file by hand, or take the previous version from the folder .previous beside it.", "{again}")
	case errors.As(err, &newer):
		return own(ClassOther, "A file was written by a newer c2conn.", newer, "Install the newer version. This one is shown by:", "$ c2conn version")
	case errors.As(err, &permission):
		return own(ClassOther, "c2conn's files have the wrong owner or access rights.", permission, "Correct the owner and the rights as said above.", "{again}")
	case errors.As(err, &full):
		return own(ClassOther, "There is no room to save.", full, "Make room on the disk (or raise the quota).", "{again}")
	case errors.As(err, &locked):
		return own(ClassOther, "Another c2conn is writing.", locked, "Wait until it has ended.", "{again}")
	}
	for _, entry := range localRows() {
		if errors.Is(err, entry.err) {
			j := judgement{row: entry.row}
			var keyring *connections.NoKeyringError
			if errors.As(err, &keyring) {
				j.why = "The keychain cannot be used: " + keyring.Reason + ". No passphrase was given either, and c2conn never writes a secret in plain text."
			}
			var unknown *cloud.UnknownError
			if errors.As(err, &unknown) {
				j.why = sentence(unknown)
			}
			return j, true
		}
	}
	switch {
	case errors.As(err, &keychain):
		return own(ClassOther, "The keychain cannot be used.", keychain, "Unlock it: sign in to the desktop session.", "On a computer without a desktop set C2CONN_PASSPHRASE instead.", "{again}")
	case errors.As(err, &reference):
		return own(ClassOther, "The secret that the connection refers to cannot be read.", reference, "Check the environment variable, file or command that the reference names.", "{again}")
	case errors.As(err, &definition):
		return own(ClassUsage, "The cloud definition is not right.", definition, "Correct the file.", "{again}")
	case errors.As(err, &tenant):
		return own(ClassUsage, "This is no tenant ID or domain.", tenant, "Copy Directory (tenant) ID from the application's Overview page.")
	case errors.As(err, &sign):
		return own(ClassOther, "The private key did not sign.", sign, "Plug in the smart card, or unlock the certificate store.", "Check that this user owns the certificate:", "$ c2conn cert list", "{again}")
	case errors.As(err, &mismatch):
		return own(ClassOther, "The certificate is not the one that the connection names.", mismatch, "Put the right certificate where the connection refers to, or import it: c2conn cert import FILE", "If the new certificate is meant, make the connection anew with it.", "{again}")
	case errors.As(err, &mailbox):
		return own(ClassUsage, "The dedicated account is no e-mail address.", mailbox, "Write it as name@domain, for example backup@contoso.com.", "{edit}")
	case errors.As(err, &field):
		return own(ClassUsage, "A value is missing or wrong.", field, "{edit}")
	}
	return judgement{}, false
}

// sentence makes an error's text one line that begins with a capital letter and
// ends with a full stop.
func sentence(err error) string {
	s := transport.CleanText(err.Error(), 400)
	if s == "" {
		return s
	}
	word, _, _ := strings.Cut(s, " ")
	if first := s[0]; first >= 'a' && first <= 'z' && !strings.ContainsAny(word, `/\.:=`) { // a path or a name stays as it is
		s = strings.ToUpper(s[:1]) + s[1:]
	}
	if !strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "…") {
		s += "."
	}
	return s
}
