package winauth

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana"
	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/msgtype"
	"github.com/jcmturner/gokrb5/v8/iana/nametype"
	"github.com/jcmturner/gokrb5/v8/iana/patype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

const (
	ticketMargin = 2 * time.Minute // a ticket that ends sooner is not used any more
	failureLife  = time.Minute     // how long a failure is not tried again
)

// ticket is a ticket with what its owner must know besides.
type ticket struct {
	messages.Ticket
	key         types.EncryptionKey // of the session
	client      types.PrincipalName
	clientRealm string
	until       time.Time
}

// kerberosState is what was learned from KDCs. The one who holds turn may use it.
type kerberosState struct {
	turn     chan struct{}
	kdcs     map[string][]string // by realm
	tgt      *ticket
	home     string             // the realm that tgt is of
	services map[string]*ticket // by SPN
	failures map[string]failure // by SPN, or realm
}

type failure struct {
	err   error
	until time.Time
}

func newKerberosState() kerberosState {
	return kerberosState{turn: make(chan struct{}, 1), kdcs: map[string][]string{}, services: map[string]*ticket{}, failures: map[string]failure{}}
}

// ticketFor gets a ticket for a service, a kept one if there is one.
func (a *Account) ticketFor(ctx context.Context, spn string) (*ticket, error) {
	k := &a.kerberos
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	now := a.o.Clock.Now()
	if t := k.services[spn]; t != nil && now.Before(t.until.Add(-ticketMargin)) {
		return t, nil
	}
	if err := k.failed(spn, now); err != nil {
		return nil, err
	}
	t, err := a.newTicket(ctx, spn)
	switch {
	case err == nil:
		k.services[spn] = t
	case ctx.Err() == nil:
		return nil, k.fail(spn, err, now)
	}
	return t, err
}

// proveLimit is how long the domain may take to say whether a password is right.
const proveLimit = 5 * time.Second

var errProveLimit = fmt.Errorf("no answer within %s", proveLimit)

// Prove asks the domain, before any server, whether the password is right: a later
// refusal of a server then has another reason (see Proven), and a wrong password is told
// by who knows it. It costs at most one failed sign-in, as Try does.
//
// nil means that the password is right, or that nothing can be known: without a password,
// without a domain controller that answers within 5 seconds, or where it will not say. For
// a minute nobody waits then for one again.
//
// Errors: *WrongPasswordError and *LockedError, which are final for the account;
// *UnknownUserError, for a UPN; *UnsureError, where too many sign-ins had no answer; and
// the end of ctx.
func (a *Account) Prove(ctx context.Context) error {
	proven, err := a.state()
	if err != nil || proven || !a.HasPassword() {
		return err
	}
	err = a.prove(ctx, "")
	var unknown *UnknownUserError
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	// Of DOMAIN\user the realm is a guess: another domain may know it.
	if final(ctx, err) || errors.As(err, &unknown) && a.isUPN() {
		return err
	}
	return nil
}

// prove signs in to the domain alone, to learn whether the password is right. It waits no
// longer than proveLimit.
func (a *Account) prove(ctx context.Context, spn string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, proveLimit, errProveLimit)
	defer cancel()
	k := &a.kerberos
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if a.o.Cache != "" {
		return nil
	}
	return a.ensureTGT(ctx, spn)
}

// fail keeps a failure: whoever asks for the same in a moment need not wait for it again.
func (k *kerberosState) fail(what string, err error, now time.Time) error {
	k.failures[what] = failure{err: err, until: now.Add(failureLife)}
	return err
}

func (k *kerberosState) failed(what string, now time.Time) error {
	if f, ok := k.failures[what]; ok && now.Before(f.until) {
		return f.err
	}
	return nil
}

func (a *Account) newTicket(ctx context.Context, spn string) (*ticket, error) {
	if a.o.Cache != "" {
		t, err := a.cached(spn)
		if err != nil || t != nil {
			return t, err
		}
	}
	kept := a.kerberos.tgt != nil
	if err := a.ensureTGT(ctx, spn); err != nil {
		return nil, err
	}
	t, err := a.serviceTicket(ctx, spn)
	var e *KerberosError
	if kept && a.o.Cache == "" && errors.As(err, &e) && (e.Code == errorcode.KRB_AP_ERR_TKT_EXPIRED || e.Code == errorcode.KDC_ERR_TGT_REVOKED) {
		// The domain takes the kept ticket no more: once with a new one.
		a.kerberos.tgt = nil
		if err := a.ensureTGT(ctx, spn); err != nil {
			return nil, err
		}
		return a.serviceTicket(ctx, spn)
	}
	return t, err
}

// ensureTGT signs in to the domain, unless there is a ticket-granting ticket.
func (a *Account) ensureTGT(ctx context.Context, spn string) error {
	k := &a.kerberos
	if k.tgt != nil && (a.o.Cache != "" || a.o.Clock.Now().Before(k.tgt.until.Add(-ticketMargin))) {
		return nil
	}
	var err error = &NoKDCError{}
	for _, realm := range a.realms(spn) {
		if _, err = a.kdcs(ctx, realm); err != nil {
			if ctx.Err() != nil {
				return err
			}
			continue
		}
		t, err := a.login(ctx, realm)
		if err == nil {
			k.tgt, k.home = t, t.SName.NameString[1]
		}
		return err
	}
	return err
}

// realms are those in which the account may be, in the order to ask them: the
// domain that was given alone, or that of the UPN's suffix and those that the
// server's name is in.
func (a *Account) realms(spn string) []string {
	if a.o.Domain != "" {
		return []string{strings.ToUpper(strings.TrimSuffix(a.o.Domain, "."))}
	}
	var realms []string
	add := func(domain string) {
		domain = strings.ToUpper(strings.Trim(domain, "."))
		if strings.Contains(domain, ".") && len(domain) <= 253 {
			for _, r := range realms {
				if r == domain {
					return
				}
			}
			realms = append(realms, domain)
		}
	}
	_, _, suffix := a.nameParts()
	add(suffix)
	_, host, _ := strings.Cut(spn, "/")
	if net.ParseIP(host) == nil {
		const parents = 3
		for range parents {
			_, host, _ = strings.Cut(host, ".")
			add(host)
		}
	}
	return realms
}

// serviceTicket asks the domain for a ticket for spn, and the domains that it
// refers to (RFC 6806, section 8): those it trusts.
func (a *Account) serviceTicket(ctx context.Context, spn string) (*ticket, error) {
	want := types.PrincipalName{NameType: nametype.KRB_NT_SRV_INST, NameString: strings.SplitN(spn, "/", 3)}
	granting, realm := a.kerberos.tgt, a.kerberos.home
	for range referralsLimit + 1 {
		t, err := a.grant(ctx, granting, realm, want, spn)
		if err != nil {
			return nil, err
		}
		got := t.SName.NameString
		if len(got) == 2 && got[0] == "krbtgt" && want.NameString[0] != "krbtgt" {
			granting, realm = t, strings.ToUpper(got[1])
			continue
		}
		if !strings.EqualFold(strings.Join(got, "/"), spn) {
			return nil, a.broken(realm, fmt.Errorf("the ticket is for %s, not for %s", clean(strings.Join(got, "/")), spn))
		}
		return t, nil
	}
	return nil, a.broken(realm, errors.New("too many referrals to other domains"))
}

// grant runs one TGS exchange (RFC 4120, section 3.3).
func (a *Account) grant(ctx context.Context, granting *ticket, realm string, want types.PrincipalName, spn string) (*ticket, error) {
	nonce, err := a.nonce()
	if err != nil {
		return nil, err
	}
	body := messages.KDCReqBody{
		KDCOptions: types.NewKrbFlags(),
		Realm:      realm,
		SName:      want,
		Till:       a.o.Clock.Now().UTC().Add(ticketLife).Truncate(time.Second),
		Nonce:      nonce,
		EType:      encryptionTypes(),
	}
	types.SetFlag(&body.KDCOptions, flags.Canonicalize)
	b, err := body.Marshal()
	if err != nil {
		return nil, fmt.Errorf("write a Kerberos request: %w", err)
	}
	et, err := crypto.GetEtype(granting.key.KeyType)
	if err != nil {
		return nil, a.broken(realm, err)
	}
	sum, err := et.GetChecksumHash(granting.key.KeyValue, b, keyusage.TGS_REQ_PA_TGS_REQ_AP_REQ_AUTHENTICATOR_CHKSUM)
	if err != nil {
		return nil, a.broken(realm, err)
	}
	auth := a.authenticator(granting)
	auth.Cksum = types.Checksum{CksumType: et.GetHashID(), Checksum: sum}
	ap, err := messages.NewAPReq(granting.Ticket, granting.key, auth)
	if err != nil {
		return nil, fmt.Errorf("write a Kerberos request: %w", err)
	}
	pa, err := ap.Marshal()
	if err != nil {
		return nil, fmt.Errorf("write a Kerberos request: %w", err)
	}
	request := messages.TGSReq{KDCReqFields: messages.KDCReqFields{
		PVNO: iana.PVNO, MsgType: msgtype.KRB_TGS_REQ, ReqBody: body,
		PAData: types.PADataSequence{{PADataType: patype.PA_TGS_REQ, PADataValue: pa}},
	}}
	if b, err = request.Marshal(); err != nil {
		return nil, fmt.Errorf("write a Kerberos request: %w", err)
	}
	reply, err := a.ask(ctx, realm, b)
	if err != nil {
		return nil, err
	}
	if e := errorOf(reply); e != nil {
		return nil, a.refusal(e, realm, spn)
	}
	var rep messages.TGSRep
	if err := rep.Unmarshal(reply); err != nil {
		return nil, a.broken(realm, err)
	}
	plain, err := open(rep.EncPart, granting.key, keyusage.TGS_REP_ENCPART_SESSION_KEY)
	if err != nil {
		return nil, a.broken(realm, err)
	}
	var part messages.EncKDCRepPart
	if err := part.Unmarshal(plain); err != nil {
		return nil, a.broken(realm, err)
	}
	switch {
	case part.Nonce != nonce:
		return nil, a.broken(realm, errors.New("the answer is for another request"))
	case len(part.SName.NameString) == 0 || !rep.Ticket.SName.Equal(part.SName) || !validKey(part.Key):
		return nil, a.broken(realm, errors.New("the ticket is not complete"))
	}
	return &ticket{Ticket: rep.Ticket, key: part.Key, client: granting.client, clientRealm: granting.clientRealm, until: part.EndTime}, nil
}

// authenticator starts one for the owner of a ticket. No two have the same time, or
// a server would take the second for a replay.
func (a *Account) authenticator(t *ticket) types.Authenticator {
	a.mu.Lock()
	now := a.o.Clock.Now().UTC().Truncate(time.Microsecond)
	if !now.After(a.lastProof) {
		now = a.lastProof.Add(time.Microsecond)
	}
	a.lastProof = now
	a.mu.Unlock()
	return types.Authenticator{
		AVNO: iana.PVNO, CRealm: t.clientRealm, CName: t.client,
		CTime: now.Truncate(time.Second), Cusec: now.Nanosecond() / 1000,
	}
}
