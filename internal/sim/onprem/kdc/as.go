package kdc

import (
	"slices"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/c2conn/c2conn/internal/sim/onprem/account"
	"github.com/c2conn/c2conn/internal/sim/onprem/krb"
)

// Pre-authentication data (RFC 4120, section 7.5.2).
const (
	paTGSReq       int32 = 1
	paEncTimestamp int32 = 2
	paETypeInfo2   int32 = 19
)

// Key usage numbers (RFC 4120, section 7.5.1).
const (
	usageTimestamp    = 1
	usageASRep        = 3
	usageTGSSum       = 6
	usageTGSReq       = 7
	usageTGSRep       = 8
	usageTGSRepSubkey = 9
)

// keyVersion is the kvno of every key: passwords of the simulated domain have no history.
const keyVersion = 2

// Answer answers one request, without the length TCP puts before it. nil means that
// the bytes are no request, which a KDC does not answer.
func (k *KDC) Answer(request []byte) []byte {
	r, err := parse(request)
	if err != nil {
		return nil
	}
	var answer []byte
	switch {
	case r.kind == messageAS:
		k.as.Add(1)
		answer, err = k.authenticate(r)
	default:
		k.tgs.Add(1)
		answer, err = k.grant(r)
	}
	if err != nil {
		return k.failure(err, r)
	}
	return answer
}

// precheck is what both exchanges begin with.
func (k *KDC) precheck(r *request) error {
	switch {
	case Fault(k.fault.Load()) == OtherRealmsOnly, !k.ours(r.body.Realm):
		return fail(codeWrongRealm, nil)
	case Fault(k.fault.Load()) == NoCommonETypes:
		return fail(codeNoEType, nil)
	}
	for _, bit := range []int{bitProxy, bitPostdated, bitAnonymous, bitSessionKey, bitValidate} {
		if r.wants(bit) {
			return fail(codeBadOption, nil)
		}
	}
	return nil
}

// authenticate is the AS exchange (RFC 4120, section 3.1; MS-KILE 3.3.5.6).
func (k *KDC) authenticate(r *request) ([]byte, error) {
	if err := k.precheck(r); err != nil {
		return nil, err
	}
	d, name := k.o.Directory, krb.Name(r.body.CName)
	client, found := d.Principal(r.body.CName.NameType, r.body.CName.NameString)
	switch {
	case !found:
		return nil, refusal(d.Refuse(account.Kerberos, name, account.UnknownUser, nil), nil)
	case client.Disabled:
		return nil, refusal(d.Refuse(account.Kerberos, name, account.AccountDisabled, nil), nil)
	case client.Locked:
		return nil, refusal(d.Refuse(account.Kerberos, name, account.LockedOut, nil), nil)
	}
	service, found := k.service(r.body.SName)
	if !found {
		return nil, fail(codeServiceUnknown, nil)
	}
	etype, session := r.etype(client), r.etype(service)
	if etype == 0 || session == 0 {
		return nil, fail(codeNoEType, nil)
	}
	hints, err := k.hints(r, client)
	if err != nil {
		return nil, err
	}
	stamp := r.pa(paEncTimestamp)
	if stamp == nil {
		return nil, fail(codePreAuthRequired, hints)
	}
	var reply []byte
	_, err = d.SignIn(account.Kerberos, client.SAM, func(keys account.Keys) error {
		if err := k.checkStamp(r, stamp, keys); err != nil {
			return err
		}
		reply, err = k.initial(r, client, service, etype, session, keys)
		return err
	})
	if err != nil {
		return nil, refusal(err, hints)
	}
	return reply, nil
}

// hints tell the client with which keys to encrypt its timestamp: METHOD-DATA with a
// PA-ETYPE-INFO2, as Active Directory sends it (RFC 4120, sections 5.2.7.5 and 5.9.1).
func (k *KDC) hints(r *request, client account.User) ([]byte, error) {
	info, err := k.etypeInfo(client, r.body.EType)
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(types.MethodData{{PADataType: paETypeInfo2, PADataValue: info}, {PADataType: paEncTimestamp}})
}

func (k *KDC) etypeInfo(client account.User, etypes []int32) ([]byte, error) {
	var info types.ETypeInfo2
	for _, e := range strongest() {
		if !slices.Contains(etypes, e) || !slices.Contains(client.ETypes, e) {
			continue
		}
		entry := types.ETypeInfo2Entry{EType: e}
		if e != account.RC4 {
			entry.Salt = k.o.Directory.Salt(client.SAM)
		}
		info = append(info, entry)
	}
	return asn1.Marshal(info)
}

// checkStamp verifies a PA-ENC-TIMESTAMP.
func (k *KDC) checkStamp(r *request, b []byte, keys account.Keys) error {
	var ed types.EncryptedData
	if rest, err := asn1.Unmarshal(b, &ed); err != nil || len(rest) > 0 {
		return fail(codePreAuthFailed, nil)
	}
	key, ok := keys.Kerberos(ed.EType)
	if !ok || !slices.Contains(r.body.EType, ed.EType) {
		return fail(codeNoEType, nil)
	}
	plain, err := krb.Decrypt(ed, types.EncryptionKey{KeyType: ed.EType, KeyValue: key}, usageTimestamp)
	if err != nil {
		return account.ErrWrongPassword
	}
	var ts types.PAEncTSEnc
	if rest, err := asn1.Unmarshal(plain, &ts); err != nil || len(rest) > 0 || ts.PAUSec < 0 || ts.PAUSec > 999_999 {
		return fail(codePreAuthFailed, nil)
	}
	off := k.o.Now().Sub(ts.PATimestamp.Add(time.Duration(ts.PAUSec) * time.Microsecond))
	if off > krb.Skew || off < -krb.Skew {
		return fail(krb.CodeSkew, nil)
	}
	return nil
}

// initial makes the AS-REP.
func (k *KDC) initial(r *request, client, service account.User, etype, session int32, keys account.Keys) ([]byte, error) {
	now := k.now()
	cname := r.body.CName
	if r.wants(bitCanonicalize) {
		cname = types.PrincipalName{NameType: account.NamePrincipal, NameString: []string{client.SAM}}
	}
	t := messages.EncTicketPart{
		Flags: types.NewKrbFlags(), CRealm: k.o.Directory.Realm(), CName: cname, AuthTime: now, StartTime: now,
		Transited: messages.TransitedEncoding{TRType: 1, Contents: []byte{}}, EndTime: earlier(r.body.Till, now.Add(k.o.Lifetime)),
	}
	types.SetFlags(&t.Flags, []int{bitInitial, bitPreAuth})
	for _, bit := range []int{bitForwardable, bitProxiable} {
		if r.wants(bit) {
			types.SetFlag(&t.Flags, bit)
		}
	}
	switch {
	case r.wants(bitRenewable):
		types.SetFlag(&t.Flags, bitRenewable)
		t.RenewTill = earlier(r.body.RTime, now.Add(k.o.RenewLifetime))
	case r.wants(bitRenewableOK) && r.body.Till.After(t.EndTime): // renewable until the time asked for
		types.SetFlag(&t.Flags, bitRenewable)
		t.RenewTill = earlier(r.body.Till, now.Add(k.o.RenewLifetime))
	}
	if !t.EndTime.After(now) {
		return nil, fail(codeNeverValid, nil)
	}
	key, _ := keys.Kerberos(etype)
	// The salt is in the directory, which is locked; the keys are at hand.
	info, err := asn1.Marshal(types.ETypeInfo2{{EType: etype, Salt: keys.Salt(etype)}})
	if err != nil {
		return nil, err
	}
	rep, err := k.issue(r, &t, strongestKey(func(e int32) ([]byte, bool) { return keys.Of(service.SAM, e) }),
		types.EncryptionKey{KeyType: etype, KeyValue: key}, usageASRep, session)
	if err != nil {
		return nil, err
	}
	rep.MsgType, rep.PAData = 11, types.PADataSequence{{PADataType: paETypeInfo2, PADataValue: info}}
	return (&messages.ASRep{KDCRepFields: *rep}).Marshal()
}

// issue puts a session key into the ticket, encrypts it for the service and tells
// the client about it.
func (k *KDC) issue(r *request, t *messages.EncTicketPart, service, client types.EncryptionKey, usage uint32, session int32) (*messages.KDCRepFields, error) {
	et, err := crypto.GetEtype(session)
	if err != nil {
		return nil, err
	}
	if t.Key, err = types.GenerateEncryptionKey(et); err != nil {
		return nil, err
	}
	sname := r.body.SName
	if k.isTGT(sname) {
		sname.NameString = []string{"krbtgt", k.o.Directory.Realm()}
	}
	ticket, err := krb.NewTicket(*t, k.o.Directory.Realm(), sname, service, keyVersion)
	if err != nil {
		return nil, err
	}
	part := messages.EncKDCRepPart{
		Key: t.Key, LastReqs: []messages.LastReq{{LRType: 0, LRValue: k.now()}}, Nonce: r.body.Nonce, Flags: t.Flags,
		AuthTime: t.AuthTime, StartTime: t.StartTime, EndTime: t.EndTime, RenewTill: t.RenewTill,
		SRealm: k.o.Directory.Realm(), SName: sname,
	}
	b, err := asn1.Marshal(part)
	if err != nil {
		return nil, err
	}
	tag := 25 // EncASRepPart
	if r.kind == messageTGS {
		tag = 26 // EncTGSRepPart
	}
	ed, err := krb.Encrypt(asn1tools.AddASNAppTag(b, tag), client, usage, keyVersion)
	if err != nil {
		return nil, err
	}
	if r.kind == messageTGS {
		ed.KVNO = 0 // a session key has no version
	}
	return &messages.KDCRepFields{PVNO: 5, CRealm: t.CRealm, CName: t.CName, Ticket: ticket, EncPart: ed}, nil
}

// strongestKey is the key a ticket is encrypted with: the service's best, because the
// client need not be able to read it.
func strongestKey(of func(etype int32) ([]byte, bool)) types.EncryptionKey {
	for _, e := range strongest() {
		if b, ok := of(e); ok {
			return types.EncryptionKey{KeyType: e, KeyValue: b}
		}
	}
	return types.EncryptionKey{}
}

func (k *KDC) now() time.Time { return k.o.Now().UTC().Truncate(time.Second) }

// earlier is the earlier of the time a client asks for and the domain's limit. The
// epoch, and no time at all, mean "as late as possible" (RFC 4120, section 5.4.1; MS-KILE
// clients send 2037).
func earlier(asked, limit time.Time) time.Time {
	if asked.Unix() <= 0 || asked.After(limit) {
		return limit
	}
	return asked.UTC()
}
