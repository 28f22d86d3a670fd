package kdc

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/c2conn/c2conn/internal/sim/onprem/account"
	"github.com/c2conn/c2conn/internal/sim/onprem/krb"
)

// Message types (RFC 4120, section 7.5.7).
const (
	messageAS  = 10
	messageTGS = 12
)

// Bits of kdc-options (RFC 4120, section 5.4.1; RFC 6806) and of a ticket's flags.
const (
	bitForwardable  = 1
	bitForwarded    = 2
	bitProxiable    = 3
	bitProxy        = 4
	bitPostdated    = 6
	bitRenewable    = 8
	bitInitial      = 9
	bitPreAuth      = 10
	bitAnonymous    = 14 // RFC 8062
	bitCanonicalize = 15
	bitRenewableOK  = 27
	bitSessionKey   = 28 // ENC-TKT-IN-SKEY
	bitRenew        = 30
	bitValidate     = 31
)

// request is a KDC-REQ.
type request struct {
	kind   int // messageAS or messageTGS
	padata types.PADataSequence
	body   messages.KDCReqBody
	raw    []byte // the body as it came, which the checksum is of
}

type kdcReq struct {
	PVNO    int                  `asn1:"explicit,tag:1"`
	MsgType int                  `asn1:"explicit,tag:2"`
	PAData  types.PADataSequence `asn1:"explicit,optional,tag:3"`
	Body    asn1.RawValue        `asn1:"explicit,tag:4"`
}

var errNotARequest = errors.New("this is no AS-REQ and no TGS-REQ")

func parse(b []byte) (*request, error) {
	if len(b) == 0 || len(b) > requestLimit || b[0] != 0x60|messageAS && b[0] != 0x60|messageTGS {
		return nil, errNotARequest
	}
	kind := int(b[0] & 0x1F)
	var m kdcReq
	rest, err := asn1.UnmarshalWithParams(b, &m, fmt.Sprintf("application,explicit,tag:%d", kind))
	if err != nil || len(rest) > 0 || m.PVNO != 5 || m.MsgType != kind {
		return nil, errNotARequest
	}
	r := &request{kind: kind, padata: m.PAData, raw: m.Body.Bytes}
	// Tickets in the body are for user-to-user only, which is refused; the library's
	// parser of them is not fit for foreign bytes.
	var body reqBody
	if rest, err := asn1.Unmarshal(r.raw, &body); err != nil || len(rest) > 0 {
		return nil, errNotARequest
	}
	r.body = messages.KDCReqBody{
		KDCOptions: body.KDCOptions, CName: body.CName, Realm: body.Realm, SName: body.SName,
		From: body.From, Till: body.Till, RTime: body.RTime, Nonce: body.Nonce, EType: body.EType, Addresses: body.Addresses,
	}
	return r, nil
}

type reqBody struct {
	KDCOptions  asn1.BitString      `asn1:"explicit,tag:0"`
	CName       types.PrincipalName `asn1:"explicit,optional,tag:1"`
	Realm       string              `asn1:"generalstring,explicit,tag:2"`
	SName       types.PrincipalName `asn1:"explicit,optional,tag:3"`
	From        time.Time           `asn1:"generalized,explicit,optional,tag:4"`
	Till        time.Time           `asn1:"generalized,explicit,tag:5"`
	RTime       time.Time           `asn1:"generalized,explicit,optional,tag:6"`
	Nonce       int                 `asn1:"explicit,tag:7"`
	EType       []int32             `asn1:"explicit,tag:8"`
	Addresses   []types.HostAddress `asn1:"explicit,optional,tag:9"`
	EncAuthData types.EncryptedData `asn1:"explicit,optional,tag:10"`
	Tickets     asn1.RawValue       `asn1:"explicit,optional,tag:11"`
}

func (r *request) wants(bit int) bool { return krb.Flag(r.body.KDCOptions, bit) }

func (r *request) pa(kind int32) []byte {
	for _, p := range r.padata {
		if p.PADataType == kind {
			return p.PADataValue
		}
	}
	return nil
}

// strongest are the encryption types of a domain, best first.
func strongest() []int32 { return []int32{account.AES256, account.AES128, account.RC4} }

// etype is the strongest type that the client named and the account has; 0 when
// there is none.
func (r *request) etype(of account.User) int32 {
	for _, e := range strongest() {
		if slices.Contains(r.body.EType, e) && slices.Contains(of.ETypes, e) {
			return e
		}
	}
	return 0
}

// service is the account that a service name of this realm belongs to.
func (k *KDC) service(n types.PrincipalName) (account.User, bool) {
	if len(n.NameString) == 2 && strings.EqualFold(n.NameString[0], "krbtgt") {
		if !k.ours(n.NameString[1]) {
			return account.User{}, false
		}
		return k.o.Directory.Lookup("krbtgt")
	}
	return k.o.Directory.Service(krb.Name(n))
}

// ours says whether a realm is this domain. Active Directory takes its NetBIOS name,
// too, and does not look at case.
func (k *KDC) ours(realm string) bool {
	return strings.EqualFold(realm, k.o.Directory.Domain()) || strings.EqualFold(realm, k.o.Directory.NetBIOS())
}
