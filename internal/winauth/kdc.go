package winauth

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/messages"

	"github.com/c2conn/c2conn/internal/transport"
)

const (
	kdcLimit      = 10 * time.Second // for one request to one KDC
	kdcDialLimit  = 4 * time.Second  // for connecting to it
	lookupLimit   = 5 * time.Second  // for an SRV look-up
	kdcsTried     = 4                // of one realm, for one request
	kdcReplyLimit = 256 << 10        // bytes; a ticket with the groups of a user has at most 64 KiB
)

// kdcs finds the KDCs of a realm by its SRV records, in the order in which to try
// them: by priority, within one by chance and weight (RFC 2782). Those that did not
// answer before come last.
func (a *Account) kdcs(ctx context.Context, realm string) ([]string, error) {
	if known := a.kerberos.kdcs[realm]; len(known) > 0 {
		return known, nil
	}
	if err := a.kerberos.failed(realm, a.o.Clock.Now()); err != nil {
		return nil, err
	}
	domain := strings.ToLower(realm)
	began := a.o.Clock.Now()
	looking, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	records, err := transport.LookupSRV(looking, a.o.Resolver, "kerberos", "tcp", domain)
	var found []string
	for _, r := range records {
		if host := strings.TrimSuffix(r.Target, "."); host != "" {
			found = append(found, net.JoinHostPort(host, strconv.Itoa(int(r.Port))))
		}
	}
	if len(found) == 0 {
		none := &NoKDCError{Domain: domain, Err: err}
		if ctx.Err() != nil {
			return nil, a.tooLate(ctx, realm, began, none)
		}
		return nil, a.kerberos.fail(realm, none, a.o.Clock.Now())
	}
	a.kerberos.kdcs[realm] = found
	return found, nil
}

// ask sends a request to a KDC of the realm, to the next one where the connection
// fails. The answer may be a KRB-ERROR: see errorOf.
func (a *Account) ask(ctx context.Context, realm string, request []byte) ([]byte, error) {
	kdcs, err := a.kdcs(ctx, realm)
	if err != nil {
		return nil, err
	}
	var failed []string
	began := a.o.Clock.Now()
	for _, kdc := range kdcs[:min(len(kdcs), kdcsTried)] {
		var reply []byte
		reply, err = a.askOne(ctx, kdc, request)
		if err == nil {
			if e := errorOf(reply); e == nil || e.ErrorCode != errorcode.KDC_ERR_SVC_UNAVAILABLE {
				a.kerberos.kdcs[realm] = append(without(kdcs, failed), failed...)
				return reply, nil
			}
			err = errors.New("its Kerberos service is not available")
		}
		failed = append(failed, kdc)
		if ctx.Err() != nil {
			if rest := without(kdcs, failed); len(rest) > 0 && a.hadItsTime(ctx, began) {
				a.kerberos.kdcs[realm] = rest // who asks next, asks another one
				return nil, ctx.Err()
			}
			return nil, a.tooLate(ctx, realm, began, &NoKDCError{Domain: strings.ToLower(realm), Tried: failed, Err: err})
		}
	}
	delete(a.kerberos.kdcs, realm)
	return nil, a.kerberos.fail(realm, &NoKDCError{Domain: strings.ToLower(realm), Tried: failed, Err: err}, a.o.Clock.Now())
}

func without(list, some []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(one string) bool { return slices.Contains(some, one) })
}

// tooLate returns the end of ctx. Where a KDC had the time that it has to prove a password,
// and no other is left, that is kept as the realm's failure: what signs in next need not
// wait for it, too.
func (a *Account) tooLate(ctx context.Context, realm string, began time.Time, none *NoKDCError) error {
	if a.hadItsTime(ctx, began) {
		delete(a.kerberos.kdcs, realm)
		none.Err = errProveLimit
		_ = a.kerberos.fail(realm, none, a.o.Clock.Now())
	}
	return ctx.Err()
}

// hadItsTime reports whether what began then had the time that a KDC has to prove a
// password.
func (a *Account) hadItsTime(ctx context.Context, began time.Time) bool {
	return errors.Is(context.Cause(ctx), errProveLimit) || a.o.Clock.Now().Sub(began) >= proveLimit
}

// askOne exchanges one message over TCP (RFC 4120, section 7.2.2).
func (a *Account) askOne(ctx context.Context, kdc string, request []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, kdcLimit)
	defer cancel()
	dialing, stop := context.WithTimeout(ctx, kdcDialLimit)
	conn, err := a.o.Dial(dialing, "tcp", kdc)
	stop()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(request))), request...)); err != nil {
		return nil, err
	}
	var head [4]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > kdcReplyLimit {
		return nil, fmt.Errorf("the answer claims to have %d bytes", n)
	}
	reply := make([]byte, n)
	if _, err := io.ReadFull(conn, reply); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	return reply, nil
}

// errorOf returns the KRB-ERROR that a message is, or nil.
func errorOf(message []byte) *messages.KRBError {
	const tag = 0x7e // application 30
	var e messages.KRBError
	if len(message) == 0 || message[0] != tag || e.Unmarshal(message) != nil {
		return nil
	}
	return &e
}

// refusal turns a KRB-ERROR of a KDC or server into an error of ours.
func (a *Account) refusal(e *messages.KRBError, server, spn string) error {
	now := a.o.Clock.Now()
	other := &KerberosError{Code: e.ErrorCode, Name: codeName(e.ErrorCode), Server: server, Text: clean(e.EText)}
	switch e.ErrorCode {
	case errorcode.KDC_ERR_C_PRINCIPAL_UNKNOWN:
		return &UnknownUserError{Account: a.o.Name, Domain: strings.ToLower(server)}
	case errorcode.KDC_ERR_S_PRINCIPAL_UNKNOWN:
		if spn == "" {
			return other
		}
		return &UnknownSPNError{SPN: spn, Domain: strings.ToLower(server)}
	case errorcode.KRB_AP_ERR_SKEW:
		return &ClockSkewError{Server: server, Here: now, There: e.STime}
	case errorcode.KDC_ERR_PREAUTH_FAILED:
		return &WrongPasswordError{Account: a.o.Name, Protocol: "Kerberos", Server: server, Err: other}
	case errorcode.KDC_ERR_CLIENT_REVOKED, errorcode.KDC_ERR_KEY_EXPIRED, errorcode.KDC_ERR_NAME_EXP, errorcode.KDC_ERR_POLICY:
		reason := statusOf(e.EData)
		switch {
		case reason != "":
		case e.ErrorCode == errorcode.KDC_ERR_KEY_EXPIRED:
			reason = ReasonPassword
		case e.ErrorCode == errorcode.KDC_ERR_NAME_EXP:
			reason = ReasonExpired
		case e.ErrorCode == errorcode.KDC_ERR_POLICY:
			return other
		default:
			reason = ReasonRevoked
		}
		return &LockedError{Account: a.o.Name, Reason: reason, Server: server, Err: other}
	}
	return other
}

// codeName returns the name of an error code, e.g. KDC_ERR_ETYPE_NOSUPP.
func codeName(code int32) string {
	for word := range strings.FieldsSeq(errorcode.Lookup(code)) {
		if strings.HasPrefix(word, "K") && strings.Contains(word, "_") {
			return word
		}
	}
	return ""
}
