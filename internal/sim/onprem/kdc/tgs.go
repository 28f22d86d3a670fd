package kdc

import (
	"slices"
	"strings"
	"time"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/c2conn/c2conn/internal/sim/onprem/krb"
)

func (k *KDC) isTGT(n types.PrincipalName) bool {
	return len(n.NameString) == 2 && strings.EqualFold(n.NameString[0], "krbtgt")
}

// grant is the TGS exchange (RFC 4120, section 3.3; MS-KILE 3.3.5.7).
func (k *KDC) grant(r *request) ([]byte, error) {
	if err := k.precheck(r); err != nil {
		return nil, err
	}
	req := r.pa(paTGSReq)
	if req == nil {
		return nil, fail(codeNoPAData, nil)
	}
	ap, err := k.opener().Open(req)
	if err != nil {
		return nil, err
	}
	tgt := ap.Ticket
	if err := checkSum(r, ap); err != nil {
		return nil, err
	}
	service, found := k.service(r.body.SName)
	if !found {
		return nil, fail(codeServiceUnknown, nil)
	}
	etype := r.etype(service)
	if etype == 0 {
		return nil, fail(codeNoEType, nil)
	}
	t, err := k.derive(r, tgt)
	if err != nil {
		return nil, err
	}
	key := strongestKey(func(e int32) ([]byte, bool) { return k.o.Directory.KerberosKey(service.SAM, e) })
	client, usage := tgt.Key, uint32(usageTGSRep)
	if sub := ap.Authenticator.SubKey; len(sub.KeyValue) > 0 {
		client, usage = sub, usageTGSRepSubkey
		if et, err := crypto.GetEtype(sub.KeyType); err != nil || len(sub.KeyValue) != et.GetKeyByteSize() || !slices.Contains(strongest(), sub.KeyType) {
			return nil, fail(codeNoEType, nil)
		}
	}
	rep, err := k.issue(r, t, key, client, usage, etype)
	if err != nil {
		return nil, err
	}
	rep.MsgType = 13
	return (&messages.TGSRep{KDCRepFields: *rep}).Marshal()
}

// opener opens what holds the client's ticket-granting ticket.
func (k *KDC) opener() krb.Opener {
	return krb.Opener{
		Key: func(realm string, n types.PrincipalName, etype int32) ([]byte, bool) {
			if !k.isTGT(n) || !k.ours(n.NameString[1]) || !k.ours(realm) {
				return nil, false
			}
			return k.o.Directory.KerberosKey("krbtgt", etype)
		},
		Usage: usageTGSReq, Now: k.o.Now, Replays: &k.replays,
	}
}

// checkSum verifies the checksum of the request's body (RFC 4120, section 5.5.1): it
// must be keyed, and of the session key's type.
func checkSum(r *request, ap *krb.APReq) error {
	sum := ap.Authenticator.Cksum
	et, err := crypto.GetEtype(ap.Ticket.Key.KeyType)
	if err != nil || sum.CksumType != et.GetHashID() {
		return fail(krb.CodeInappropriate, nil)
	}
	if !et.VerifyChecksum(ap.Ticket.Key.KeyValue, r.raw, sum.Checksum, usageTGSSum) {
		return fail(krb.CodeModified, nil)
	}
	return nil
}

// derive makes the new ticket from the ticket-granting ticket: nothing may last
// longer than that, or have a flag that that has not.
func (k *KDC) derive(r *request, tgt messages.EncTicketPart) (*messages.EncTicketPart, error) {
	now := k.now()
	t := &messages.EncTicketPart{
		Flags: types.NewKrbFlags(), CRealm: tgt.CRealm, CName: tgt.CName, AuthTime: tgt.AuthTime.UTC(), StartTime: now,
		Transited: messages.TransitedEncoding{TRType: 1, Contents: []byte{}}, AuthorizationData: tgt.AuthorizationData,
	}
	has := func(bit int) bool { return krb.Flag(tgt.Flags, bit) }
	for _, bit := range []int{bitPreAuth, bitForwarded} {
		if has(bit) {
			types.SetFlag(&t.Flags, bit)
		}
	}
	for _, bit := range []int{bitForwardable, bitProxiable} {
		if r.wants(bit) && has(bit) {
			types.SetFlag(&t.Flags, bit)
		}
	}
	if r.wants(bitForwarded) {
		if !has(bitForwardable) {
			return nil, fail(codeBadOption, nil)
		}
		types.SetFlag(&t.Flags, bitForwarded)
	}
	t.EndTime = earlier(r.body.Till, tgt.EndTime.UTC())
	switch {
	case r.wants(bitRenew):
		if !has(bitRenewable) || !k.isTGT(r.body.SName) {
			return nil, fail(codeBadOption, nil)
		}
		t.Flags, t.RenewTill = tgt.Flags, tgt.RenewTill.UTC()
		t.EndTime = earlier(t.RenewTill, now.Add(k.o.Lifetime))
	case r.wants(bitRenewable) && has(bitRenewable):
		types.SetFlag(&t.Flags, bitRenewable)
		t.RenewTill = earlier(r.body.RTime, tgt.RenewTill.UTC())
	}
	if !t.EndTime.After(now.Truncate(time.Second)) {
		return nil, fail(codeNeverValid, nil)
	}
	return t, nil
}
