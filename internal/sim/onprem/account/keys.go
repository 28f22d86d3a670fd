package account

import (
	"encoding/binary"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"golang.org/x/crypto/md4" //nolint:staticcheck // the NT hash is MD4 (MS-NLMP 3.3.1)
)

// Keys are the keys that follow from an account's password.
type Keys struct {
	d *Directory
	e *entry
}

// NTHash is MD4 of the password in UTF-16LE (MS-NLMP 3.3.1, NTOWFv1).
func (k Keys) NTHash() []byte { return ntHash(k.e.Password) }

// Kerberos is the account's key of an encryption type; false when it has none.
func (k Keys) Kerberos(etype int32) ([]byte, bool) { return k.d.kerberosKey(k.e, etype) }

// KerberosKey is the key of an encryption type of the account with this
// sAMAccountName; false when there is none.
func (d *Directory) KerberosKey(sam string, etype int32) ([]byte, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.users[strings.ToLower(sam)]
	if e == nil {
		return nil, false
	}
	return d.kerberosKey(e, etype)
}

// Salt is what the account's AES keys are salted with: realm and sAMAccountName
// as stored; for a computer, realm, "host" and its DNS name (MS-KILE 3.1.1.2). It
// is empty for an unknown account.
func (d *Directory) Salt(sam string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.users[strings.ToLower(sam)]
	if e == nil {
		return ""
	}
	return d.salt(e)
}

func (d *Directory) salt(e *entry) string {
	if strings.HasSuffix(e.SAM, "$") {
		return d.Realm() + "host" + strings.ToLower(samOf(e)) + "." + d.domain
	}
	return d.Realm() + e.SAM
}

func (d *Directory) kerberosKey(e *entry, etype int32) ([]byte, bool) {
	if !slices.Contains(e.ETypes, etype) {
		return nil, false
	}
	if key, found := e.kerberos[etype]; found {
		return slices.Clone(key), true
	}
	var key []byte
	switch etype {
	case RC4:
		key = ntHash(e.Password)
	case AES128, AES256:
		et, err := crypto.GetEtype(etype)
		if err != nil {
			return nil, false
		}
		if key, err = et.StringToKey(e.Password, d.salt(e), et.GetDefaultStringToKeyParams()); err != nil {
			return nil, false
		}
	default:
		return nil, false
	}
	if e.kerberos == nil {
		e.kerberos = map[int32][]byte{}
	}
	e.kerberos[etype] = key
	return slices.Clone(key), true
}

func ntHash(password string) []byte {
	h := md4.New()
	var b [2]byte
	for _, u := range utf16.Encode([]rune(password)) {
		binary.LittleEndian.PutUint16(b[:], u)
		h.Write(b[:])
	}
	return h.Sum(nil)
}

// Salt is what the account's key of an encryption type is salted with; RC4 keys are not.
func (k Keys) Salt(etype int32) string {
	if etype == RC4 {
		return ""
	}
	return k.d.salt(k.e)
}

// Of is the key of another account; false when there is none.
func (k Keys) Of(sam string, etype int32) ([]byte, bool) {
	e := k.d.users[strings.ToLower(sam)]
	if e == nil {
		return nil, false
	}
	return k.d.kerberosKey(e, etype)
}
