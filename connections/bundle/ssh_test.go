package bundle_test

import (
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/connections/bundle"
)

// TestProtectedSSHKey opens a bundle with an SSH key that has a passphrase.
func TestProtectedSSHKey(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(private, "operator", []byte("right"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	line := append([]byte("# who may\n\nno-pty,command=\"x\" "), ssh.MarshalAuthorizedKey(key)...)
	to, err := bundle.ParseRecipients(line)
	if err != nil || len(to) != 1 {
		t.Fatal(len(to), err)
	}
	data, err := bundle.Seal(marshal(t, whole()), to...)
	if err != nil {
		t.Fatal(err)
	}
	typed := func(s string) func() (connections.Secret, error) {
		return func() (connections.Secret, error) { return connections.NewSecret(s), nil }
	}
	file := pem.EncodeToMemory(block)
	if _, err := bundle.ParseIdentities(file, nil); !errors.Is(err, bundle.ErrKeyPassphraseNeeded) {
		t.Errorf("nobody to ask: %v", err)
	}
	if _, err := bundle.ParseIdentities(file, typed("wrong")); !errors.Is(err, bundle.ErrWrongKeyPassphrase) {
		t.Errorf("a wrong passphrase: %v", err)
	}
	with, err := bundle.ParseIdentities(file, typed("right"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bundle.Unseal(data, with...); err != nil {
		t.Error(err)
	}
}
