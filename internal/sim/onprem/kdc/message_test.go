package kdc_test

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/c2conn/c2conn/internal/sim/onprem/account"
	"github.com/c2conn/c2conn/internal/sim/onprem/kdc"
)

func asReq(t testing.TB, kind int32, name string, change func(*messages.ASReq)) []byte {
	t.Helper()
	cfg := config.New()
	cfg.LibDefaults.DefaultTktEnctypeIDs = []int32{18, 17, 23}
	cfg.LibDefaults.NoAddresses = true
	r, err := messages.NewASReqForTGT("CORP.TEST", cfg, types.PrincipalName{NameType: kind, NameString: []string{name}})
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&r)
	}
	b, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func timestamp(t testing.TB, password, salt string) types.PAData {
	t.Helper()
	et, err := crypto.GetEtype(18)
	if err != nil {
		t.Fatal(err)
	}
	key, err := et.StringToKey(password, salt, et.GetDefaultStringToKeyParams())
	if err != nil {
		t.Fatal(err)
	}
	ts, err := types.GetPAEncTSEncAsnMarshalled()
	if err != nil {
		t.Fatal(err)
	}
	ed, err := crypto.GetEncryptedData(ts, types.EncryptionKey{KeyType: 18, KeyValue: key}, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	b, err := ed.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return types.PAData{PADataType: 2, PADataValue: b}
}

func krbError(t *testing.T, b []byte) messages.KRBError {
	t.Helper()
	var e messages.KRBError
	if err := e.Unmarshal(b); err != nil {
		t.Fatalf("no KRB-ERROR: %x", b)
	}
	return e
}

// Without pre-authentication the KDC says which keys the account has, and how they
// are salted; that is no failed sign-in.
func TestPreAuthenticationRequired(t *testing.T) {
	t.Parallel()
	d := directory(t)
	e := krbError(t, kdc.New(kdc.Options{Directory: d}).Answer(asReq(t, 1, "exadmin", nil)))
	if e.ErrorCode != 25 || d.FailedSignIns() != 0 {
		t.Fatalf("error %d, %d failed sign-ins", e.ErrorCode, d.FailedSignIns())
	}
	var methods types.PADataSequence
	if err := methods.Unmarshal(e.EData); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(methods, func(p types.PAData) bool { return p.PADataType == 19 })
	if i < 0 || !methods.Contains(2) {
		t.Fatalf("methods %v", methods)
	}
	info, err := methods[i].GetETypeInfo2()
	if err != nil {
		t.Fatal(err)
	}
	if len(info) != 2 || info[0].EType != 18 || info[0].Salt != "CORP.TESTExAdmin" || info[1].EType != 17 {
		t.Errorf("PA-ETYPE-INFO2 %+v", info)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind         int32
		name         string
		canonicalize bool
		want         string // the client's name in the answer; "" for unknown
		wantKind     int32
	}{
		{1, "ALICE", false, "ALICE", 1},
		{1, "ALICE", true, "alice", 1},
		{10, "Alice@contoso.example", true, "alice", 1},
		{10, "Alice@contoso.example", false, "Alice@contoso.example", 10},
		{10, "alice@corp.test", true, "alice", 1},
		{10, "alice@other.example", true, "", 0},
		{1, "alice@contoso.example", true, "", 0},
	} {
		d := directory(t)
		b := kdc.New(kdc.Options{Directory: d}).Answer(asReq(t, c.kind, c.name, func(r *messages.ASReq) {
			if c.canonicalize {
				types.SetFlag(&r.ReqBody.KDCOptions, 15)
			}
			r.PAData = types.PADataSequence{timestamp(t, "Al1ce!Pass", "CORP.TESTalice")}
		}))
		if c.want == "" {
			if e := krbError(t, b); e.ErrorCode != 6 {
				t.Errorf("%s: error %d, want 6", c.name, e.ErrorCode)
			}
			continue
		}
		var rep messages.ASRep
		if err := rep.Unmarshal(b); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if rep.CName.PrincipalNameString() != c.want || rep.CName.NameType != c.wantKind || rep.CRealm != "CORP.TEST" {
			t.Errorf("%s (canonicalize %v) is %v of %s, want %s", c.name, c.canonicalize, rep.CName, rep.CRealm, c.want)
		}
	}
}

// A timestamp encrypted with a key that the client did not offer is no sign-in.
func TestTimestampOfAnotherType(t *testing.T) {
	t.Parallel()
	d := directory(t)
	e := krbError(t, kdc.New(kdc.Options{Directory: d}).Answer(asReq(t, 1, "exadmin", func(r *messages.ASReq) {
		r.ReqBody.EType = []int32{17}
		r.PAData = types.PADataSequence{timestamp(t, password, "CORP.TESTExAdmin")}
	})))
	if e.ErrorCode != 14 || d.BadPasswords("exadmin") != 0 || d.SuccessfulSignIns(account.Kerberos) != 0 {
		t.Errorf("error %d, badPwdCount %d", e.ErrorCode, d.BadPasswords("exadmin"))
	}
}

// The status of Windows is in the e-data (MS-KILE 2.2.1).
func TestExtendedError(t *testing.T) {
	t.Parallel()
	for user, status := range map[string]uint32{"locked": 0xC0000234, "disabled": 0xC0000072} {
		e := krbError(t, kdc.New(kdc.Options{Directory: directory(t)}).Answer(asReq(t, 1, user, nil)))
		var data struct {
			Type  int    `asn1:"explicit,tag:1"`
			Value []byte `asn1:"explicit,tag:2"`
		}
		if _, err := asn1.Unmarshal(e.EData, &data); err != nil || data.Type != 3 || len(data.Value) != 12 {
			t.Errorf("%s: e-data %x, %v", user, e.EData, err)
			continue
		}
		if got := binary.LittleEndian.Uint32(data.Value); got != status {
			t.Errorf("%s: status %#x, want %#x", user, got, status)
		}
	}
}

func TestLockout(t *testing.T) {
	t.Parallel()
	d := directory(t)
	s := start(t, kdc.Options{Directory: d})
	for i, want := range []int{24, 24, 24, 18, 18} {
		pw := "wrong"
		if i == 4 {
			pw = password
		}
		if got := code(signIn(t, s, "exadmin", pw, aes).Login()); got != want {
			t.Errorf("sign-in %d: error %d, want %d", i, got, want)
		}
	}
	if d.BadPasswords("exadmin") != 3 || d.FailedSignIns() != 5 {
		t.Errorf("badPwdCount %d, %d failed", d.BadPasswords("exadmin"), d.FailedSignIns())
	}
}

// tgt signs in and gives what a TGS-REQ is made of.
func tgt(t *testing.T, s *kdc.Server, d *account.Directory) (*client.Client, messages.Ticket, messages.EncKDCRepPart) {
	t.Helper()
	c := signIn(t, s, "exadmin", password, aes)
	et, err := crypto.GetEtype(18)
	if err != nil {
		t.Fatal(err)
	}
	key, err := et.StringToKey(password, "CORP.TESTExAdmin", et.GetDefaultStringToKeyParams())
	if err != nil {
		t.Fatal(err)
	}
	var rep messages.ASRep
	if err := rep.Unmarshal(s.Answer(asReq(t, 1, "exadmin", func(r *messages.ASReq) {
		types.SetFlag(&r.ReqBody.KDCOptions, 8)
		r.PAData = types.PADataSequence{timestamp(t, password, "CORP.TESTExAdmin")}
	}))); err != nil {
		t.Fatal(err)
	}
	b, err := crypto.DecryptEncPart(rep.EncPart, types.EncryptionKey{KeyType: 18, KeyValue: key}, 3)
	if err != nil {
		t.Fatal(err)
	}
	var part messages.EncKDCRepPart
	if err := part.Unmarshal(b); err != nil {
		t.Fatal(err)
	}
	if d.SuccessfulSignIns(account.Kerberos) == 0 {
		t.Error("the sign-in was not counted")
	}
	return c, rep.Ticket, part
}

func TestTicketGranting(t *testing.T) {
	t.Parallel()
	d := directory(t)
	now := time.Now
	var shift time.Duration
	s := start(t, kdc.Options{Directory: d, Now: func() time.Time { return now().Add(shift) }})
	c, ticket, part := tgt(t, s, d)
	key := part.Key
	request := func(spn string, renewal bool, change func(*messages.TGSReq)) []byte {
		t.Helper()
		r, err := messages.NewTGSReq(types.PrincipalName{NameType: 1, NameString: []string{"exadmin"}}, "CORP.TEST", c.Config, ticket, key,
			types.NewPrincipalName(2, spn), renewal)
		if err != nil {
			t.Fatal(err)
		}
		if change != nil {
			change(&r)
		}
		b, err := r.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	const spn = "HTTP/exch01.corp.test"
	good := request(spn, false, nil)
	for _, c := range []struct {
		name    string
		request []byte
		code    int32 // 0: a ticket
	}{
		{"sound", good, 0},
		{"the same again", good, 34},
		{"renewal", request("krbtgt/CORP.TEST", true, nil), 0},
		{"renewal of a service ticket", request(spn, true, nil), 13},
		{"unknown service", request("HTTP/nix.corp.test", false, nil), 7},
		{"another realm's KDC", request("krbtgt/OTHER.TEST", false, nil), 7},
		{"changed body", request(spn, false, func(r *messages.TGSReq) { r.ReqBody.Nonce++ }), 41},
		{"another realm", request(spn, false, func(r *messages.TGSReq) { r.ReqBody.Realm = "OTHER.TEST" }), 68},
		{"no ticket", request(spn, false, func(r *messages.TGSReq) { r.PAData = nil }), 16},
		{"spoilt ticket", request(spn, false, func(r *messages.TGSReq) {
			b := slices.Clone(r.PAData[0].PADataValue)
			b[len(b)/2] ^= 1
			r.PAData = types.PADataSequence{{PADataType: 1, PADataValue: b}}
		}), -1},
		{"user-to-user", request(spn, false, func(r *messages.TGSReq) { types.SetFlag(&r.ReqBody.KDCOptions, 28) }), 13},
	} {
		b := s.Answer(c.request)
		var rep messages.TGSRep
		err := rep.Unmarshal(b)
		switch {
		case c.code == 0 && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.code > 0:
			if e := krbError(t, b); e.ErrorCode != c.code {
				t.Errorf("%s: error %d, want %d", c.name, e.ErrorCode, c.code)
			}
		case c.code < 0 && err == nil:
			t.Errorf("%s: a ticket", c.name)
		}
	}
	// No ticket outlasts the one it was made from.
	shift = 4 * time.Minute
	var rep messages.TGSRep
	if err := rep.Unmarshal(s.Answer(request(spn, false, nil))); err != nil {
		t.Fatal(err)
	}
	if err := rep.DecryptEncPart(key); err != nil {
		t.Fatal(err)
	}
	if !rep.DecryptedEncPart.EndTime.Equal(part.EndTime) {
		t.Errorf("ends %v, the ticket-granting ticket %v", rep.DecryptedEncPart.EndTime, part.EndTime)
	}
	shift = 6 * time.Minute
	if e := krbError(t, s.Answer(request(spn, false, nil))); e.ErrorCode != 37 || time.Since(e.STime) > -5*time.Minute {
		t.Errorf("6 minutes ahead: error %d, server time %v", e.ErrorCode, e.STime)
	}
	shift = 0
	if d.FailedSignIns() != 0 {
		t.Errorf("%d failed sign-ins", d.FailedSignIns())
	}
}
