package spnego_test

import (
	"encoding/asn1"
	"errors"
	"testing"

	ntlmssp "github.com/Azure/go-ntlmssp"
	gofork "github.com/jcmturner/gofork/encoding/asn1"
	gospnego "github.com/jcmturner/gokrb5/v8/spnego"

	"github.com/c2conn/c2conn/internal/sim/onprem/account"
	"github.com/c2conn/c2conn/internal/sim/onprem/krb"
	"github.com/c2conn/c2conn/internal/sim/onprem/ntlm"
	"github.com/c2conn/c2conn/internal/sim/onprem/spnego"
)

const password = "Ex4dmin!Pass"

func oidNTLM() gofork.ObjectIdentifier {
	return gofork.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 2, 10}
}
func oidKRB5() gofork.ObjectIdentifier { return gofork.ObjectIdentifier{1, 2, 840, 113554, 1, 2, 2} }
func oidNEGOX() gofork.ObjectIdentifier {
	return gofork.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 2, 30}
}

func acceptor(t testing.TB, kerberos, withNTLM bool) (spnego.Acceptor, *account.Directory) {
	t.Helper()
	d, err := account.New(account.Options{
		Domain: "corp.test", NetBIOS: "CORP",
		Users: []account.User{
			{SAM: "exadmin", Password: password},
			{SAM: "EXCH01$", Password: "machine", SPNs: []string{"HTTP/exch01.corp.test"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var a spnego.Acceptor
	if kerberos {
		a.Kerberos = krb.NewAcceptor(krb.AcceptorOptions{Directory: d, SPNs: []string{"HTTP/exch01.corp.test"}})
	}
	if withNTLM {
		a.NTLM = ntlm.NewAcceptor(ntlm.AcceptorOptions{Directory: d, Host: "EXCH01"})
	}
	return a, d
}

// first and next are tokens made by gokrb5's encoder.
func first(t testing.TB, token []byte, mechs ...gofork.ObjectIdentifier) []byte {
	t.Helper()
	s := gospnego.SPNEGOToken{Init: true, NegTokenInit: gospnego.NegTokenInit{MechTypes: mechs, MechTokenBytes: token}}
	b, err := s.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func next(t testing.TB, token, mic []byte) []byte {
	t.Helper()
	// gokrb5 always writes a state and a mechanism; clients leave both out.
	b, err := asn1.MarshalWithParams(struct {
		Token []byte `asn1:"explicit,omitempty,optional,tag:2"`
		MIC   []byte `asn1:"explicit,omitempty,optional,tag:3"`
	}{token, mic}, "")
	if err != nil {
		t.Fatal(err)
	}
	b, err = asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Tag: 1, Bytes: b})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func answer(t testing.TB, b []byte) *gospnego.NegTokenResp {
	t.Helper()
	var s gospnego.SPNEGOToken
	if err := s.Unmarshal(b); err != nil || !s.Resp {
		t.Fatalf("no NegTokenResp: %x, %v", b, err)
	}
	return &s.NegTokenResp
}

func negotiate(t testing.TB) []byte {
	t.Helper()
	b, err := ntlmssp.NewNegotiateMessage("", "")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func authenticate(t testing.TB, challenge []byte, password string) []byte {
	t.Helper()
	b, err := ntlmssp.NewAuthenticateMessage(challenge, `CORP\exadmin`, password, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestNTLM(t *testing.T) {
	t.Parallel()
	for _, bare := range []bool{false, true} {
		for _, right := range []bool{true, false} {
			a, d := acceptor(t, true, true)
			x := a.Begin(nil)
			token := negotiate(t)
			if !bare {
				token = first(t, token, oidNTLM())
			}
			reply, done, err := x.Step(token)
			if err != nil || done != nil {
				t.Fatal(done, err)
			}
			if !bare {
				r := answer(t, reply)
				if r.State() != gospnego.NegStateAcceptIncomplete || !r.SupportedMech.Equal(oidNTLM()) {
					t.Errorf("state %v, mechanism %v", r.State(), r.SupportedMech)
				}
				reply = r.ResponseToken
			}
			pw := password
			if !right {
				pw = "wrong"
			}
			token = authenticate(t, reply, pw)
			if !bare {
				token = next(t, token, nil)
			}
			reply, done, err = x.Step(token)
			if right != (err == nil) || right && (done == nil || done.User.SAM != "exadmin" || done.Mechanism != account.NTLM || done.Kerberos != nil) {
				t.Fatalf("bare %v, right %v: %+v, %v", bare, right, done, err)
			}
			if right && !bare && answer(t, reply).State() != gospnego.NegStateAcceptCompleted {
				t.Errorf("reply %x", reply)
			}
			if n := d.FailedSignIns(); (n == 0) != right {
				t.Errorf("%d failed sign-ins", n)
			}
			if _, _, err := x.Step(token); err == nil {
				t.Error("a step after the last")
			}
		}
	}
}

// A client whose first choice is not taken must sign its list: go-ntlmssp cannot, so it
// must be refused.
func TestSecondChoiceNeedsSignature(t *testing.T) {
	t.Parallel()
	a, _ := acceptor(t, false, true)
	x := a.Begin(nil)
	reply, done, err := x.Step(first(t, []byte("a token of another mechanism"), oidNEGOX(), oidNTLM()))
	if err != nil || done != nil {
		t.Fatal(done, err)
	}
	if r := answer(t, reply); r.State() != gospnego.NegStateRequestMIC || !r.SupportedMech.Equal(oidNTLM()) || len(r.ResponseToken) != 0 {
		t.Errorf("state %v, mechanism %v", r.State(), r.SupportedMech)
	}
	if reply, _, err = x.Step(next(t, negotiate(t), nil)); err != nil {
		t.Fatal(err)
	}
	m := authenticate(t, answer(t, reply).ResponseToken, password)
	if _, done, err = x.Step(next(t, m, []byte("no signature"))); !errors.Is(err, spnego.ErrMIC) || done != nil {
		t.Errorf("a wrong signature: %v, %v", done, err)
	}
}

func TestMechanisms(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name           string
		kerberos, ntlm bool
		token          func(t *testing.T) []byte
		want           error
	}{
		{"NTLM where only Kerberos is taken", true, false, func(t *testing.T) []byte { return negotiate(t) }, spnego.ErrNoMechanism},
		{"NTLM in SPNEGO where only Kerberos is taken", true, false, func(t *testing.T) []byte { return first(t, negotiate(t), oidNTLM()) }, spnego.ErrNoMechanism},
		{"Kerberos in SPNEGO where only NTLM is taken", false, true, func(t *testing.T) []byte { return first(t, []byte("x"), oidKRB5()) }, spnego.ErrNoMechanism},
		{"unknown mechanism", true, true, func(t *testing.T) []byte { return first(t, []byte("x"), oidNEGOX()) }, spnego.ErrNoMechanism},
		{"no token at all", true, true, func(*testing.T) []byte { return nil }, nil},
		{"nonsense", true, true, func(*testing.T) []byte { return []byte("nonsense") }, nil},
		{"Kerberos that is none", true, true, func(t *testing.T) []byte { return first(t, []byte("x"), oidKRB5()) }, nil},
		{"an answer before the question", true, true, func(t *testing.T) []byte { return next(t, negotiate(t), nil) }, nil},
	} {
		a, d := acceptor(t, c.kerberos, c.ntlm)
		_, done, err := a.Begin(nil).Step(c.token(t))
		if err == nil || done != nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, %v", c.name, done, err)
		}
		if d.FailedSignIns() != 0 {
			t.Errorf("%s: counted as a failed sign-in", c.name)
		}
	}
}

// A list of mechanisms without a token is answered with the one that is taken.
func TestListWithoutToken(t *testing.T) {
	t.Parallel()
	a, _ := acceptor(t, true, true)
	x := a.Begin(nil)
	reply, _, err := x.Step(first(t, nil, oidNTLM(), oidKRB5()))
	if err != nil {
		t.Fatal(err)
	}
	if r := answer(t, reply); r.State() != gospnego.NegStateAcceptIncomplete || !r.SupportedMech.Equal(oidNTLM()) {
		t.Errorf("state %v, mechanism %v", r.State(), r.SupportedMech)
	}
	if reply, _, err = x.Step(next(t, negotiate(t), nil)); err != nil {
		t.Fatal(err)
	}
	if _, done, err := x.Step(next(t, authenticate(t, answer(t, reply).ResponseToken, password), nil)); err != nil || done == nil {
		t.Errorf("%v, %v", done, err)
	}
}

func FuzzStep(f *testing.F) {
	a, _ := acceptor(f, true, true)
	f.Add(negotiate(f), []byte{})
	f.Add(first(f, negotiate(f), oidNTLM()), next(f, []byte("NTLMSSP\x00\x03\x00\x00\x00"), []byte("mic")))
	f.Add(first(f, []byte("x"), oidNEGOX(), oidNTLM(), oidKRB5()), next(f, negotiate(f), nil))
	f.Add(first(f, []byte{0x60, 0x0f, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2, 1, 0, 0x6e, 0}, oidKRB5()), []byte{})
	f.Fuzz(func(t *testing.T, one, two []byte) {
		x := a.Begin(nil)
		for _, token := range [][]byte{one, two, two} {
			_, done, err := x.Step(token)
			if done != nil {
				t.Fatalf("%s signed in without a password", done.User.SAM)
			}
			if err != nil {
				return
			}
		}
	})
}
