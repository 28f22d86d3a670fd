package graph

import (
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/transport"
)

// FuzzError feeds foreign bodies to the reader of Graph's errors.
func FuzzError(f *testing.F) {
	for _, seed := range []string{
		`{"error":{"code":"Authorization_RequestDenied","message":"No.","innerError":{"date":"2026-11-22T06:00:00","request-id":"r","client-request-id":"c"}}}`,
		`{"error":{"code":"\u001b[2J\u202eevil","message":"a\r\nb\u2066\u200b\u009b","innerError":{"request-id":"\u0000"}}}`,
		`{"error":{"code":7,"message":null,"innerError":{"date":"never","request-id":[]}}}`,
		`{"error":{"code":"x","message":"y","details":[{"code":"InvalidKeyEndDate","message":"z","target":"EndDate"},null,7,{"target":"\u001b[2J"}]}}`,
		`{"error":{"details":{}}}`, `{"error":{"details":[[]]}}`,
		`{"error":"invalid_token"}`, `{"error":{"innerError":[]}}`, `{"Error":{"CODE":"x"}}`, "[]", "null", "<html>", "{", "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e := &Error{Op: "read users", Status: 403}
		e.read(body)
		if e.Op != "read users" || e.Status != 403 || e.Err != nil {
			t.Fatalf("%+v", e)
		}
		if len(e.Details) > mostDetails {
			t.Fatalf("%d details", len(e.Details))
		}
		for _, d := range e.Details {
			if all := d.Code + d.Message + d.Target; all != transport.CleanText(all, 0) {
				t.Fatalf("%+v", d)
			}
		}
		for text, most := range map[string]int{e.Code: 110, e.Message: 1010, e.RequestID: 80, e.ClientRequestID: 80} {
			if text != transport.CleanText(text, 0) || len([]rune(text)) > most {
				t.Fatalf("%d bytes: %q", len(text), text)
			}
		}
		// What came with the headers is not overwritten.
		known := &Error{RequestID: "r", ClientRequestID: "c", Time: time.Unix(0, 0)}
		known.read(body)
		if known.RequestID != "r" || known.ClientRequestID != "c" || !known.Time.Equal(time.Unix(0, 0)) {
			t.Fatalf("%+v", known)
		}
	})
}
