// Package krb is the accepting side of Kerberos: it opens AP-REQ messages for a
// KDC and for services, and keeps the security context of RFC 4121 that seals
// messages.
package krb

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana/asnAppTag"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// Skew is how far clocks may differ: the default of Windows' policy "Maximum
// tolerance for computer clock synchronization".
const Skew = 5 * time.Minute

// Codes of KRB-ERROR (RFC 4120, section 7.5.9) that opening an AP-REQ ends with.
const (
	CodeBadIntegrity  int32 = 31 // KRB_AP_ERR_BAD_INTEGRITY
	CodeExpired       int32 = 32 // KRB_AP_ERR_TKT_EXPIRED
	CodeNotYetValid   int32 = 33 // KRB_AP_ERR_TKT_NYV
	CodeRepeat        int32 = 34 // KRB_AP_ERR_REPEAT
	CodeNotUs         int32 = 35 // KRB_AP_ERR_NOT_US
	CodeBadMatch      int32 = 36 // KRB_AP_ERR_BADMATCH
	CodeSkew          int32 = 37 // KRB_AP_ERR_SKEW
	CodeBadVersion    int32 = 39 // KRB_AP_ERR_BADVERSION
	CodeModified      int32 = 41 // KRB_AP_ERR_MODIFIED
	CodeInappropriate int32 = 50 // KRB_AP_ERR_INAPP_CKSUM
)

// Error is a message that was refused.
type Error struct {
	Code int32 // of KRB-ERROR
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("kerberos error %d: %v", e.Code, e.Err) }

func (e *Error) Unwrap() error { return e.Err }

func refused(code int32, text string) error { return &Error{Code: code, Err: errors.New(text)} }

// Encrypt encrypts a message with a key for a key usage number (RFC 4120, section 7.5.1).
func Encrypt(plain []byte, key types.EncryptionKey, usage uint32, kvno int) (types.EncryptedData, error) {
	return crypto.GetEncryptedData(plain, key, usage, kvno)
}

// Decrypt opens what Encrypt made. The encryption type of both must be the same.
func Decrypt(data types.EncryptedData, key types.EncryptionKey, usage uint32) ([]byte, error) {
	if data.EType != key.KeyType {
		return nil, fmt.Errorf("the message is encrypted with type %d, the key is of type %d", data.EType, key.KeyType)
	}
	return decrypt(data.Cipher, key, usage)
}

func decrypt(cipher []byte, key types.EncryptionKey, usage uint32) ([]byte, error) {
	et, err := crypto.GetEtype(key.KeyType)
	if err != nil {
		return nil, err
	}
	if len(key.KeyValue) != et.GetKeyByteSize() {
		return nil, errors.New("the key has the wrong length")
	}
	// The library slices without looking.
	if len(cipher) < et.GetConfounderByteSize()+et.GetHMACBitLength()/8 {
		return nil, errors.New("the encrypted part is too short")
	}
	return et.DecryptMessage(key.KeyValue, cipher, usage)
}

// Flag says whether a bit of a KerberosFlags value is set; bit 0 is the first
// (RFC 4120, section 5.2.8).
func Flag(f asn1.BitString, bit int) bool { return f.At(bit) != 0 }

// Name writes a principal name with slashes: "HTTP/exch01.corp.test".
func Name(n types.PrincipalName) string { return strings.Join(n.NameString, "/") }

// NewTicket encrypts a ticket for the service that has the key (RFC 4120, section 5.3).
func NewTicket(part messages.EncTicketPart, realm string, service types.PrincipalName, key types.EncryptionKey, kvno int) (messages.Ticket, error) {
	b, err := asn1.Marshal(part)
	if err != nil {
		return messages.Ticket{}, fmt.Errorf("ticket: %w", err)
	}
	ed, err := Encrypt(asn1tools.AddASNAppTag(b, asnAppTag.EncTicketPart), key, 2, kvno)
	if err != nil {
		return messages.Ticket{}, fmt.Errorf("ticket: %w", err)
	}
	return messages.Ticket{TktVNO: 5, Realm: realm, SName: service, EncPart: ed}, nil
}
