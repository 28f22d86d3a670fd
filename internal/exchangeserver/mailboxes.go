package exchangeserver

import (
	"context"
	"strings"

	"github.com/c2conn/c2conn/internal/progress"
	"github.com/c2conn/c2conn/internal/psremoting"
	"github.com/c2conn/c2conn/internal/transport"
)

// Mailboxes are the mailboxes that the account may list.
type Mailboxes struct {
	Count  int
	More   bool     // there are more than were asked for
	Sample []string // the first ones' primary SMTP addresses
}

// sampleSize is how many addresses are kept: some of them may be the account's own,
// or out of the scope of its rights.
const sampleSize = 20

// Mailboxes lists the mailboxes of people, rooms and the like, at most so many.
//
// Source: learn.microsoft.com/powershell/module/exchange/get-mailbox (ResultSize).
//
// Errors: those of psremoting; *psremoting.NoCommandError where no role of the account
// has Get-Mailbox.
func (s *Server) Mailboxes(ctx context.Context, atMost int) (Mailboxes, error) {
	var found Mailboxes
	out, err := s.session.Run(ctx, psremoting.Command{
		Name: "Get-Mailbox", Params: []psremoting.Param{psremoting.Int("ResultSize", int32(min(atMost, 1<<30)))}, //nolint:gosec // bounded
		Take: func(o psremoting.Object) error {
			found.Count++
			if found.Count%100 == 0 {
				progress.Report(ctx, progress.Update{Text: "listing mailboxes"})
			}
			if address := text(o, "PrimarySmtpAddress"); len(found.Sample) < sampleSize && strings.Contains(address, "@") {
				found.Sample = append(found.Sample, address)
			}
			return nil
		},
	})
	if err != nil {
		return Mailboxes{}, err
	}
	if len(out.Errors) > 0 && found.Count == 0 {
		return Mailboxes{}, out.Errors[0]
	}
	// Exchange warns where there are more; the words are in the server's language.
	found.More = found.Count >= atMost
	return found, nil
}

// text is a property as text, safe to show.
func text(o psremoting.Object, name string) string {
	p, _ := o.Get(name)
	return transport.CleanText(p.Text, 300)
}

// OwnAddress is the primary SMTP address of the account's own mailbox, "" where it has
// none or cannot be told.
func (s *Server) OwnAddress(ctx context.Context, upn string) (string, error) {
	out, err := s.session.Run(ctx, psremoting.Command{Name: "Get-Mailbox", Params: []psremoting.Param{psremoting.String("Identity", upn)}})
	if err != nil || len(out.Objects) == 0 {
		return "", err
	}
	return text(out.Objects[0], "PrimarySmtpAddress"), nil
}
