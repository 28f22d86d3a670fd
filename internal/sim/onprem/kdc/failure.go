package kdc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/c2conn/c2conn/internal/sim/onprem/account"
	"github.com/c2conn/c2conn/internal/sim/onprem/krb"
)

// Codes of KRB-ERROR (RFC 4120, section 7.5.9; RFC 4120 errata and MS-KILE agree).
const (
	codeClientUnknown   int32 = 6
	codeServiceUnknown  int32 = 7
	codeNeverValid      int32 = 11
	codeBadOption       int32 = 13
	codeNoEType         int32 = 14
	codeNoPAData        int32 = 16
	codeClientRevoked   int32 = 18
	codeKeyExpired      int32 = 23
	codePreAuthFailed   int32 = 24
	codePreAuthRequired int32 = 25
	codeTooLong         int32 = 61
	codeWrongRealm      int32 = 68
)

// failed is a request that is answered with a KRB-ERROR.
type failed struct {
	code  int32
	edata []byte
	err   error
}

func (f *failed) Error() string { return fmt.Sprintf("kerberos error %d: %v", f.code, f.err) }

func fail(code int32, edata []byte) error { return &failed{code: code, edata: edata} }

var errTooLong = &failed{code: codeTooLong}

// failure makes the KRB-ERROR of an error. r is nil when the request was not understood.
func (k *KDC) failure(err error, r *request) []byte {
	now := k.o.Now().UTC()
	m := messages.KRBError{
		PVNO: 5, MsgType: 30, STime: now.Truncate(time.Second), Susec: now.Nanosecond() / 1000,
		Realm: k.o.Directory.Realm(), SName: types.PrincipalName{NameType: 2, NameString: []string{"krbtgt", k.o.Directory.Realm()}},
	}
	if r != nil && len(r.body.SName.NameString) > 0 {
		m.SName = r.body.SName
	}
	var f *failed
	var ap *krb.Error
	switch {
	case errors.As(err, &f):
		m.ErrorCode, m.EData = f.code, f.edata
	case errors.As(err, &ap):
		m.ErrorCode = ap.Code
	default:
		m.ErrorCode = 60 // KRB_ERR_GENERIC
	}
	b, err := m.Marshal()
	if err != nil {
		return nil
	}
	return b
}

// refusal turns a refused sign-in into the KDC's error (MS-KILE 3.3.5.6.1), with the
// status of Windows in the e-data.
func refusal(err error, hints []byte) error {
	var r *account.RefusedError
	if !errors.As(err, &r) {
		return err
	}
	switch r.Reason {
	case account.UnknownUser:
		return fail(codeClientUnknown, nil)
	case account.LockedOut, account.AccountDisabled:
		return fail(codeClientRevoked, extended(r.Reason))
	case account.Expired, account.PasswordMustChange:
		return fail(codeKeyExpired, extended(r.Reason))
	case account.WrongPassword:
		return fail(codePreAuthFailed, hints)
	}
	return r.Err
}

// extended is a KERB-ERROR-DATA with a KERB-EXT-ERROR (MS-KILE 2.2.1 and 2.2.2).
func extended(r account.Reason) []byte {
	b := binary.LittleEndian.AppendUint32(nil, r.NTStatus())
	b = append(b, 0, 0, 0, 0, 1, 0, 0, 0)
	out, err := asn1.Marshal(struct {
		Type  int    `asn1:"explicit,tag:1"`
		Value []byte `asn1:"explicit,tag:2"`
	}{3, b}) // KERB_ERR_TYPE_EXTENDED
	if err != nil {
		return nil
	}
	return out
}
