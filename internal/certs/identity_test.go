package certs

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestExportsCanBeReadAgain(t *testing.T) {
	t.Parallel()
	chain, err := Parse(file(t, "chain.pfx"), testPassword)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []Identity{testGenerated(t), chain} {
		text, err := i.PEM()
		if err != nil {
			t.Fatal(err)
		}
		pfx, err := i.PFX("pässwörd")
		if err != nil {
			t.Fatal(err)
		}
		for form, data := range map[string][]byte{"PEM": text.Reveal(), "PFX": pfx} {
			got, err := Parse(data, "pässwörd")
			if err != nil {
				t.Fatal(form, err)
			}
			if !got.Certificate.Equal(i.Certificate) || len(got.Chain) != len(i.Chain) || !samePublicKey(got.Key.Public(), i.Key.Public()) {
				t.Errorf("%s: got %v", form, got)
			}
		}
		if _, err := Parse(i.CertificatePEM(), ""); !errors.Is(err, ErrNoKey) {
			t.Errorf("the public PEM: %v", err)
		}
		if _, err := Parse(i.CertificateDER(), ""); !errors.Is(err, ErrNoKey) {
			t.Errorf("the public DER: %v", err)
		}
		if bytes.Contains(i.CertificatePEM(), []byte("KEY")) || bytes.Contains(i.ChainPEM(), []byte("KEY")) {
			t.Error("a key in the public part")
		}
		if _, err := Parse(pfx, ""); !errors.Is(err, ErrPasswordNeeded) {
			t.Errorf("the PFX without its password: %v", err)
		}
	}
}

func TestPFXNeedsAPassword(t *testing.T) {
	t.Parallel()
	if _, err := testA(t).PFX(""); err == nil {
		t.Error("a PFX without a password was made")
	}
	if _, err := testA(t).PFX("\U0001F511"); err == nil {
		t.Error("a password that PFX cannot express was taken")
	}
}

// kept stands for a key that stays in a store.
type kept struct{ crypto.Signer }

func TestKeysThatStayAreNotExported(t *testing.T) {
	t.Parallel()
	i := testA(t)
	i.Key = kept{i.Key}
	_, pemErr := i.PEM()
	_, pfxErr := i.PFX("x")
	if !errors.Is(pemErr, ErrNotExportable) || !errors.Is(pfxErr, ErrNotExportable) {
		t.Errorf("%v, %v", pemErr, pfxErr)
	}
}

func TestPrintingAnIdentityShowsNoKey(t *testing.T) {
	t.Parallel()
	i := testA(t)
	key := i.Key.(*rsa.PrivateKey)
	inJSON, err := json.Marshal(map[string]any{"identity": i})
	if err != nil {
		t.Fatal(err)
	}
	inYAML, err := yaml.Marshal(map[string]any{"identity": i})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "identity", i, "again", &i)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "identity", i)
	all := fmt.Sprintf("%v %+v %#v %s %q %x %d %v %v", i, i, i, i, i, i, i, &i, []Identity{i}) +
		string(inJSON) + string(inYAML) + log.String()
	for _, secret := range []string{key.D.String(), fmt.Sprintf("%x", key.D), key.Primes[0].String(), "PRIVATE"} {
		if strings.Contains(all, secret) {
			t.Errorf("the key shows: %.100s…", all)
		}
	}
	if !strings.Contains(all, string(i.Thumbprint())) || !strings.Contains(all, "CN=c2conn test A") {
		t.Errorf("the name is missing: %s", all)
	}
	if got := (Identity{}).String(); got != "no certificate" || (Identity{}).Thumbprint() != "" || (Identity{}).ThumbprintSHA256() != "" {
		t.Errorf("an empty identity is %q", got)
	}
}

func TestPaddingFor(t *testing.T) {
	t.Parallel()
	digest := make([]byte, 32)
	for name, test := range map[string]struct {
		hash []byte
		opts crypto.SignerOpts
		want padding
		bad  bool
	}{
		"PKCS1":          {hash: digest, opts: crypto.SHA256, want: padding{algorithm: "SHA256"}},
		"SHA-384":        {hash: make([]byte, 48), opts: crypto.SHA384, want: padding{algorithm: "SHA384"}},
		"SHA-512":        {hash: make([]byte, 64), opts: crypto.SHA512, want: padding{algorithm: "SHA512"}},
		"PSS as hash":    {hash: digest, opts: &rsa.PSSOptions{Hash: crypto.SHA256, SaltLength: rsa.PSSSaltLengthEqualsHash}, want: padding{"SHA256", true, 32}},
		"PSS auto":       {hash: digest, opts: &rsa.PSSOptions{Hash: crypto.SHA256}, want: padding{"SHA256", true, 222}},
		"PSS fixed":      {hash: digest, opts: &rsa.PSSOptions{Hash: crypto.SHA256, SaltLength: 20}, want: padding{"SHA256", true, 20}},
		"PSS too long":   {hash: digest, opts: &rsa.PSSOptions{Hash: crypto.SHA256, SaltLength: 223}, bad: true},
		"wrong length":   {hash: digest[:31], opts: crypto.SHA256, bad: true},
		"SHA-1":          {hash: make([]byte, 20), opts: crypto.SHA1, bad: true},
		"no hash at all": {hash: digest, opts: crypto.Hash(0), bad: true},
		"no options":     {hash: digest, bad: true},
	} {
		got, err := paddingFor(256, test.hash, test.opts)
		if (err != nil) != test.bad || got != test.want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
