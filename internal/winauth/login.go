package winauth

import (
	"context"
	"encoding/asn1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana"
	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/msgtype"
	"github.com/jcmturner/gokrb5/v8/iana/nametype"
	"github.com/jcmturner/gokrb5/v8/iana/patype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/c2conn/c2conn/connections"
)

const (
	ticketLife = 10 * time.Hour // the longest that a domain gives by default
	// The default is 4096 iterations; RFC 3962, section 5, lets a KDC ask for 2^32,
	// which would be minutes of work.
	iterationsLeast = 4096 // what Active Directory uses; fewer would let a forger guess the password faster
	iterationsLimit = 1 << 17
	referralsLimit  = 3 // realms that a request may be sent on to
)

// encryption types, the best first. RC4 is for accounts whose password is older
// than the domain's AES keys.
func encryptionTypes() []int32 {
	return []int32{etypeID.AES256_CTS_HMAC_SHA1_96, etypeID.AES128_CTS_HMAC_SHA1_96, etypeID.RC4_HMAC}
}

// principals are the names by which to ask for the account, in order. A UPN goes
// as an enterprise name (RFC 6806, section 5), which Active Directory looks up
// whatever realm its suffix stands for; the first half of it need not be the
// account's own name, so that is only tried when the domain does not know the UPN.
func (a *Account) principals(realm string) []types.PrincipalName {
	_, user, suffix := a.nameParts()
	plain := types.PrincipalName{NameType: nametype.KRB_NT_PRINCIPAL, NameString: []string{user}}
	if suffix == "" {
		return []types.PrincipalName{plain}
	}
	names := []types.PrincipalName{{NameType: nametype.KRB_NT_ENTERPRISE, NameString: []string{user + "@" + suffix}}}
	if strings.EqualFold(suffix, realm) {
		names = append(names, plain)
	}
	return names
}

// login gets a ticket-granting ticket with the password.
func (a *Account) login(ctx context.Context, realm string) (*ticket, error) {
	var got *ticket
	err := a.Try(ctx, "Kerberos", func(ctx context.Context, password connections.Secret) error {
		var err error
		for _, name := range a.principals(realm) {
			got, err = a.authenticate(ctx, realm, name, password)
			var unknown *UnknownUserError
			if !errors.As(err, &unknown) {
				break
			}
		}
		return err
	})
	return got, err
}

// authenticate runs the AS exchange (RFC 4120, section 3.1) for one name.
func (a *Account) authenticate(ctx context.Context, realm string, name types.PrincipalName, password connections.Secret) (*ticket, error) {
	asked := realm
	if domain, _, _ := a.nameParts(); domain != "" {
		// EU\admin must not be taken for the admin of another domain: unless the domain
		// is called like that, it is left to the KDC what the short name stands for.
		if first, _, _ := strings.Cut(realm, "."); !strings.EqualFold(first, domain) {
			asked = strings.ToUpper(domain)
		}
	}
	for range referralsLimit {
		t, elsewhere, err := a.authenticateIn(ctx, realm, asked, name, password)
		if elsewhere == "" {
			return t, err
		}
		realm, asked = elsewhere, elsewhere
	}
	return nil, a.broken(realm, errors.New("too many referrals to other realms"))
}

// authenticateIn asks a KDC of kdcs for a ticket for name in realm. elsewhere is the
// realm that it refers to instead (RFC 6806, section 7).
func (a *Account) authenticateIn(ctx context.Context, kdcs, realm string, name types.PrincipalName, password connections.Secret) (got *ticket, elsewhere string, err error) {
	nonce, err := a.nonce()
	if err != nil {
		return nil, "", err
	}
	now := a.o.Clock.Now().UTC()
	request := messages.ASReq{KDCReqFields: messages.KDCReqFields{PVNO: iana.PVNO, MsgType: msgtype.KRB_AS_REQ, ReqBody: messages.KDCReqBody{
		KDCOptions: types.NewKrbFlags(),
		CName:      name,
		Realm:      realm,
		SName:      types.PrincipalName{NameType: nametype.KRB_NT_SRV_INST, NameString: []string{"krbtgt", realm}},
		Till:       now.Add(ticketLife).Truncate(time.Second),
		Nonce:      nonce,
		EType:      encryptionTypes(),
	}}}
	types.SetFlag(&request.ReqBody.KDCOptions, flags.Canonicalize)

	var hints types.PADataSequence // how the key is made of the password
	proved := false
	for {
		b, err := request.Marshal()
		if err != nil {
			return nil, "", fmt.Errorf("write a Kerberos request: %w", err)
		}
		reply, err := a.ask(ctx, kdcs, b)
		if err != nil {
			return nil, "", err
		}
		e := errorOf(reply)
		switch {
		case e == nil:
			t, err := a.opened(realm, reply, request.ReqBody, hints, name, password)
			return t, "", err
		case e.ErrorCode == errorcode.KDC_ERR_WRONG_REALM && e.CRealm != "" && strings.ToUpper(e.CRealm) != realm:
			return nil, strings.ToUpper(e.CRealm), nil
		case proved && e.ErrorCode == errorcode.KRB_AP_ERR_BAD_INTEGRITY:
			// What a KDC that is not Active Directory says of a wrong password.
			e.ErrorCode = errorcode.KDC_ERR_PREAUTH_FAILED
			return nil, "", a.refusal(e, realm, "")
		case e.ErrorCode != errorcode.KDC_ERR_PREAUTH_REQUIRED || proved:
			return nil, "", a.refusal(e, realm, "")
		}
		if hints.Unmarshal(e.EData) != nil {
			return nil, "", a.broken(realm, errors.New("it wants a proof of the password but does not say how"))
		}
		key, err := keyOf(password, name, realm, hints, 0)
		if err != nil {
			return nil, "", a.broken(realm, err)
		}
		proof, err := a.timestamp(key)
		if err != nil {
			return nil, "", err
		}
		request.PAData = types.PADataSequence{{PADataType: patype.PA_ENC_TIMESTAMP, PADataValue: proof}}
		proved = true
	}
}

// timestamp proves that the key is known (RFC 4120, section 5.2.7.2).
func (a *Account) timestamp(key types.EncryptionKey) ([]byte, error) {
	now := a.o.Clock.Now().UTC()
	b, err := asn1.Marshal(types.PAEncTSEnc{PATimestamp: now.Truncate(time.Second), PAUSec: now.Nanosecond() / 1000})
	if err != nil {
		return nil, err
	}
	sealed, err := crypto.GetEncryptedData(b, key, keyusage.AS_REQ_PA_ENC_TIMESTAMP, 0)
	if err != nil {
		return nil, err
	}
	return sealed.Marshal()
}

// opened checks an AS-REP and takes the ticket out of it.
func (a *Account) opened(realm string, reply []byte, asked messages.KDCReqBody, hints types.PADataSequence, name types.PrincipalName, password connections.Secret) (*ticket, error) {
	var rep messages.ASRep
	if err := rep.Unmarshal(reply); err != nil {
		return nil, a.broken(realm, err)
	}
	// The reply may say anew how the key is made (RFC 4120, section 5.2.7.5).
	if slices.ContainsFunc(rep.PAData, func(p types.PAData) bool { return p.PADataType == patype.PA_ETYPE_INFO2 }) {
		hints = rep.PAData
	}
	key, err := keyOf(password, name, realm, hints, rep.EncPart.EType)
	if err != nil {
		return nil, a.broken(realm, err)
	}
	plain, err := open(rep.EncPart, key, keyusage.AS_REP_ENCPART)
	if err != nil {
		// The KDC asked for no proof, so this is where a wrong password shows.
		return nil, &WrongPasswordError{Account: a.o.Name, Protocol: "Kerberos", Server: realm, Err: err}
	}
	var part messages.EncKDCRepPart
	if err := part.Unmarshal(plain); err != nil {
		return nil, a.broken(realm, err)
	}
	switch {
	case part.Nonce != asked.Nonce:
		return nil, a.broken(realm, errors.New("the answer is for another request"))
	case len(part.SName.NameString) != 2 || part.SName.NameString[0] != "krbtgt" || !rep.Ticket.SName.Equal(part.SName):
		return nil, a.broken(realm, errors.New("the ticket is for another service"))
	case len(rep.CName.NameString) == 0 || !validKey(part.Key):
		return nil, a.broken(realm, errors.New("the ticket is not complete"))
	}
	// The name in the reply may differ from the one that was asked for: that is what
	// canonicalising is for.
	return &ticket{Ticket: rep.Ticket, key: part.Key, client: rep.CName, clientRealm: rep.CRealm, until: part.EndTime}, nil
}

// keyOf makes the key of a password, in the way that the KDC's pre-authentication
// data says. want is the encryption type; 0 = the first in them that is known here.
func keyOf(password connections.Secret, name types.PrincipalName, realm string, hints types.PADataSequence, want int32) (types.EncryptionKey, error) {
	var none types.EncryptionKey
	usable := func(id int32) bool {
		return slices.Contains(encryptionTypes(), id) && (want == 0 || id == want)
	}
	salt, params, found := name.GetSalt(realm), "", int32(0)
	for _, p := range hints {
		switch p.PADataType {
		case patype.PA_ETYPE_INFO2:
			infos, err := p.GetETypeInfo2()
			if err != nil {
				return none, fmt.Errorf("read the encryption types: %w", err)
			}
			if i := slices.IndexFunc(infos, func(i types.ETypeInfo2Entry) bool { return usable(i.EType) }); i >= 0 {
				found = infos[i].EType
				if infos[i].Salt != "" {
					salt = infos[i].Salt
				}
				if n := infos[i].S2KParams; len(n) == 4 && found != etypeID.RC4_HMAC {
					if c := binary.BigEndian.Uint32(n); c < iterationsLeast || c > iterationsLimit {
						return none, fmt.Errorf("%d iterations for the key are asked for, not %d to %d", c, iterationsLeast, iterationsLimit)
					}
					params = hex.EncodeToString(n)
				}
			}
		case patype.PA_ETYPE_INFO:
			// Only what has no salt is taken from the old form.
			infos, err := p.GetETypeInfo()
			if err == nil && found == 0 && slices.ContainsFunc(infos, func(i types.ETypeInfoEntry) bool { return i.EType == etypeID.RC4_HMAC && usable(i.EType) }) {
				found = etypeID.RC4_HMAC
			}
		}
	}
	if found == 0 {
		if found = want; !slices.Contains(encryptionTypes(), found) {
			return none, errors.New("it offers no encryption type that is known here (AES or RC4)")
		}
	}
	et, err := crypto.GetEtype(found)
	if err != nil {
		return none, err
	}
	if params == "" {
		params = et.GetDefaultStringToKeyParams()
	}
	secret := password.Reveal()
	defer clear(secret)
	k, err := et.StringToKey(string(secret), salt, params)
	if err != nil {
		return none, fmt.Errorf("make the key: %w", err)
	}
	return types.EncryptionKey{KeyType: found, KeyValue: k}, nil
}

// nonce gives 31 random bits: some KDCs take the number for a signed one.
func (a *Account) nonce() (int, error) {
	var b [4]byte
	if _, err := io.ReadFull(a.o.Rand, b[:]); err != nil {
		return 0, fmt.Errorf("read random bytes: %w", err)
	}
	return int(binary.BigEndian.Uint32(b[:]) & 0x7fffffff), nil
}

func (a *Account) broken(server string, err error) error {
	return &ProtocolError{Protocol: "Kerberos", Server: server, Err: err}
}

// open decrypts; gokrb5 does not look at lengths.
func open(sealed types.EncryptedData, key types.EncryptionKey, usage uint32) ([]byte, error) {
	if sealed.EType != key.KeyType {
		return nil, fmt.Errorf("encrypted with type %d, not %d", sealed.EType, key.KeyType)
	}
	return openBytes(sealed.Cipher, key, usage)
}

func openBytes(sealed []byte, key types.EncryptionKey, usage uint32) ([]byte, error) {
	et, err := crypto.GetEtype(key.KeyType)
	if err != nil {
		return nil, err
	}
	if !validKey(key) {
		return nil, errors.New("a key of the wrong length")
	}
	if len(sealed) < et.GetConfounderByteSize()+et.GetHMACBitLength()/8 {
		return nil, errors.New("the encrypted part is too short")
	}
	return et.DecryptMessage(key.KeyValue, sealed, usage)
}

func validKey(key types.EncryptionKey) bool {
	et, err := crypto.GetEtype(key.KeyType)
	return err == nil && slices.Contains(encryptionTypes(), key.KeyType) && len(key.KeyValue) == et.GetKeyByteSize()
}

// statusOf reads the Windows status that Active Directory puts into the e-data of
// an error: KERB-ERROR-DATA with a KERB-EXT-ERROR (MS-KILE, sections 2.2.1, 2.2.2).
func statusOf(data []byte) Reason {
	const extended = 3
	var d struct {
		Type  int    `asn1:"explicit,tag:1"`
		Value []byte `asn1:"explicit,optional,tag:2"`
	}
	if rest, err := asn1.Unmarshal(data, &d); err != nil || len(rest) > 0 || d.Type != extended || len(d.Value) < 4 {
		return ""
	}
	return ntReason(binary.LittleEndian.Uint32(d.Value))
}
