package winauth_test

import (
	"testing"

	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/iana/nametype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/test/testdata"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/c2conn/c2conn/internal/winauth"
)

// Nobody who does not know the password is taken for the KDC.
func FuzzKDCReply(f *testing.F) {
	e := messages.NewKRBError(types.NewPrincipalName(nametype.KRB_NT_SRV_INST, "krbtgt/CORP.TEST"), "CORP.TEST", errorcode.KDC_ERR_CLIENT_REVOKED, "")
	e.EData = unhex("3015a103020103a20e040c" + "720000c0" + "00000000" + "01000000") // disabled
	if b, err := e.Marshal(); err == nil {
		f.Add(b)
	}
	f.Add(unhex(testdata.MarshaledKRB5as_rep))
	f.Add(unhex(testdata.MarshaledKRB5error))
	f.Fuzz(func(t *testing.T, b []byte) {
		if winauth.ReadReply(b) == nil {
			t.Errorf("took %x", b)
		}
	})
}
