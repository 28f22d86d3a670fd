package certs

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/c2conn/c2conn/connections"
)

const (
	windowsScheme = "windows:"
	anyEncoding   = windows.X509_ASN_ENCODING | windows.PKCS_7_ASN_ENCODING
	// CERT_KEY_PROV_INFO_PROP_ID of wincrypt.h: a certificate that knows its key.
	propKeyProvider = 2
	// CRYPT_E_NOT_FOUND is how an enumeration ends.
	errEnd = windows.Errno(0x80092004)
)

var (
	crypt32         = windows.NewLazySystemDLL("crypt32.dll")
	procGetProperty = crypt32.NewProc("CertGetCertificateContextProperty")
)

// windowsStore is CurrentUser\My. Every call opens the store anew: handles are
// cheap, and none is left open.
type windowsStore struct{}

// open calls use with the store.
func (windowsStore) open(flags uint32, use func(windows.Handle) error) error {
	name, err := windows.UTF16PtrFromString("MY")
	if err != nil {
		return err
	}
	store, err := windows.CertOpenStore(windows.CERT_STORE_PROV_SYSTEM, 0, 0,
		windows.CERT_SYSTEM_STORE_CURRENT_USER|flags, uintptr(unsafe.Pointer(name)))
	if err != nil {
		return fmt.Errorf("the personal certificate store of Windows (CurrentUser\\My) cannot be opened: %w", err)
	}
	defer windows.CertCloseStore(store, 0) //nolint:errcheck // nothing can be done about it
	return use(store)
}

// List implements Store.
func (w windowsStore) List(ctx context.Context) ([]Entry, error) {
	var entries []Entry
	err := w.open(windows.CERT_STORE_READONLY_FLAG, func(store windows.Handle) error {
		return each(store, func(c *windows.CertContext) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			entries = append(entries, entryOf(c))
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(entries, func(a, b Entry) int {
		return cmp.Or(
			strings.Compare(strings.ToLower(SubjectOf(a.Certificate)), strings.ToLower(SubjectOf(b.Certificate))),
			strings.Compare(string(a.Thumbprint()), string(b.Thumbprint())))
	})
	return entries, nil
}

// each calls visit with every certificate of the store. The contexts belong to
// the enumeration, which frees each one when it gives the next.
func each(store windows.Handle, visit func(*windows.CertContext) error) error {
	var c *windows.CertContext
	for {
		next, err := windows.CertEnumCertificatesInStore(store, c)
		if next == nil {
			if err == nil || errors.Is(err, errEnd) || errors.Is(err, windows.ERROR_NO_MORE_FILES) {
				return nil
			}
			return fmt.Errorf("the certificates cannot be listed: %w", err)
		}
		c = next
		if err := visit(c); err != nil {
			_ = windows.CertFreeCertificateContext(c)
			return err
		}
	}
}

// entryOf copies what is needed, so that the context may be freed afterwards.
func entryOf(c *windows.CertContext) Entry {
	der := bytes.Clone(unsafe.Slice(c.EncodedCert, c.Length))
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return Entry{Err: fmt.Errorf("a certificate in CurrentUser\\My cannot be read: %s", printable(err.Error()))}
	}
	return Entry{
		Certificate: certificate,
		Ref:         connections.Ref(windowsScheme + string(ThumbprintOf(certificate))),
		HasKey:      hasKey(c),
	}
}

func hasKey(c *windows.CertContext) bool {
	var size uint32
	ok, _, _ := procGetProperty.Call(uintptr(unsafe.Pointer(c)), propKeyProvider, 0, uintptr(unsafe.Pointer(&size)))
	return ok != 0
}

// withContext calls use with the certificate of thumbprint t.
func (w windowsStore) withContext(t Thumbprint, flags uint32, use func(windows.Handle, *windows.CertContext) error) error {
	hash := t.Bytes()
	if !t.IsSHA1() || len(hash) == 0 {
		return notFound(t)
	}
	return w.open(flags, func(store windows.Handle) error {
		blob := windows.CryptHashBlob{Size: uint32(len(hash)), Data: &hash[0]}
		c, err := windows.CertFindCertificateInStore(store, anyEncoding, 0, windows.CERT_FIND_SHA1_HASH, unsafe.Pointer(&blob), nil)
		if c == nil || errors.Is(err, errEnd) {
			return notFound(t)
		}
		if err != nil {
			return fmt.Errorf("the certificate %s cannot be looked up: %w", t, err)
		}
		defer windows.CertFreeCertificateContext(c) //nolint:errcheck // nothing can be done about it
		return use(store, c)
	})
}

// Find implements Store.
func (w windowsStore) Find(ctx context.Context, t Thumbprint) (Entry, error) {
	if !t.IsSHA1() {
		entries, err := w.List(ctx)
		if err != nil {
			return Entry{}, err
		}
		for _, e := range entries {
			if t.Matches(e.Certificate) {
				return e, nil
			}
		}
		return Entry{}, notFound(t)
	}
	var e Entry
	err := w.withContext(t, windows.CERT_STORE_READONLY_FLAG, func(_ windows.Handle, c *windows.CertContext) error {
		e = entryOf(c)
		return e.Err
	})
	return e, err
}

// Import implements Store: the identity travels as a PFX under a password that
// exists for this call only, and Windows keeps the key for this user, not
// exportable, which is its own default. The chain is not imported.
func (w windowsStore) Import(ctx context.Context, i Identity) (Entry, error) {
	old, err := w.Find(ctx, i.Thumbprint())
	if err == nil && old.HasKey {
		return old, nil
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Entry{}, err
	}
	password := rand.Text()
	pfx, err := Identity{Certificate: i.Certificate, Key: i.Key}.PFX(password)
	if err != nil {
		return Entry{}, err
	}
	wide, err := windows.UTF16PtrFromString(password)
	if err != nil {
		return Entry{}, err
	}
	blob := windows.CryptDataBlob{Size: uint32(len(pfx)), Data: &pfx[0]}
	temporary, err := windows.PFXImportCertStore(&blob, wide, windows.CRYPT_USER_KEYSET|windows.PKCS12_ALWAYS_CNG_KSP)
	if err != nil {
		return Entry{}, fmt.Errorf("Windows did not take the certificate: %w", err) //nolint:staticcheck // a name
	}
	defer windows.CertCloseStore(temporary, 0) //nolint:errcheck // nothing can be done about it
	err = w.open(0, func(store windows.Handle) error {
		return each(temporary, func(c *windows.CertContext) error {
			if entryOf(c).Thumbprint() != i.Thumbprint() {
				return nil
			}
			return windows.CertAddCertificateContextToStore(store, c, windows.CERT_STORE_ADD_REPLACE_EXISTING, nil)
		})
	})
	if err != nil {
		return Entry{}, fmt.Errorf("the certificate cannot be put into CurrentUser\\My: %w", err)
	}
	return w.Find(ctx, i.Thumbprint())
}

// Delete implements Store. The private key goes with the certificate unless
// another certificate of the store uses the same one.
func (w windowsStore) Delete(ctx context.Context, t Thumbprint) error {
	e, err := w.Find(ctx, t)
	if err != nil {
		return err
	}
	t = e.Thumbprint()
	shared, err := w.shares(ctx, e)
	if err != nil {
		return err
	}
	return w.withContext(t, 0, func(_ windows.Handle, c *windows.CertContext) error {
		var key keyHandle
		if e.HasKey && !shared {
			if key, err = acquire(c); err != nil {
				return fmt.Errorf("the private key of the certificate %s cannot be deleted, so nothing was: %w", t, err)
			}
		}
		// Deleting frees the context it is given, also when it fails.
		if err := windows.CertDeleteCertificateFromStore(windows.CertDuplicateCertificateContext(c)); err != nil {
			key.free()
			return fmt.Errorf("the certificate %s cannot be deleted: %w", t, err)
		}
		if err := key.destroy(); err != nil {
			return fmt.Errorf("the certificate %s was deleted, but its private key was not: %w", t, err)
		}
		return nil
	})
}

func (w windowsStore) shares(ctx context.Context, e Entry) (bool, error) {
	entries, err := w.List(ctx)
	if err != nil {
		return false, err
	}
	for _, other := range entries {
		if other.Certificate != nil && other.Thumbprint() != e.Thumbprint() &&
			bytes.Equal(other.Certificate.RawSubjectPublicKeyInfo, e.Certificate.RawSubjectPublicKeyInfo) {
			return true, nil
		}
	}
	return false, nil
}

// Identity implements Store: the key stays in Windows and signs there.
func (w windowsStore) Identity(_ context.Context, e Entry) (Identity, error) {
	if e.Err != nil {
		return Identity{}, e.Err
	}
	hexadecimal := strings.TrimPrefix(string(e.Ref), windowsScheme)
	if _, err := hex.DecodeString(hexadecimal); err != nil || e.Certificate == nil {
		return Identity{}, notFound(Thumbprint(hexadecimal))
	}
	if !e.HasKey {
		return Identity{}, fmt.Errorf("certificate %s: %w", e.Thumbprint(), ErrNoKey)
	}
	key := windowsKey{thumbprint: e.Thumbprint(), public: e.Certificate.PublicKey}
	if err := checkKey(key); err != nil {
		return Identity{}, err
	}
	// Asked once now: an error here is clearer than one inside a sign-in.
	if err := w.withContext(key.thumbprint, windows.CERT_STORE_READONLY_FLAG, func(_ windows.Handle, c *windows.CertContext) error {
		handle, err := acquire(c)
		handle.free()
		return err
	}); err != nil {
		return Identity{}, err
	}
	return Identity{Certificate: e.Certificate, Key: key}, nil
}
