package autodiscover

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"

	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/winauth"
)

// outcomeOf names what an error of a request means.
func outcomeOf(err error) string {
	var (
		wrong    *winauth.WrongPasswordError
		locked   *winauth.LockedError
		pin      *winauth.PinChangedError
		trust    *winauth.UntrustedError
		refused  *winauth.RefusedError
		method   *winauth.NoMethodError
		consent  *ConsentError
		online   *OnlineError
		redirect *RedirectError
		answer   *AnswerError
		verify   *tls.CertificateVerificationError
		unknown  x509.UnknownAuthorityError
		dns      *net.DNSError
		network  *net.OpError
		waiting  net.Error
	)
	kind := transport.KindOf(err)
	switch {
	case errors.As(err, &wrong):
		return OutcomeWrong
	case errors.As(err, &locked):
		return OutcomeLocked
	case errors.As(err, &pin):
		return OutcomePinChanged
	case errors.As(err, &trust), errors.As(err, &verify), errors.As(err, &unknown):
		return OutcomeUntrusted
	case errors.As(err, &refused), errors.As(err, &method), errors.As(err, &answer) && answer.Status == http.StatusUnauthorized && answer.Code == "":
		return OutcomeRefused
	case errors.As(err, &consent):
		return OutcomeConsent
	case errors.As(err, &online):
		return OutcomeOnline
	case errors.As(err, &redirect):
		return OutcomeBadRedirect
	case errors.As(err, &answer) && answer.noMailbox():
		return OutcomeNoMailbox
	case errors.As(err, &answer) && answer.Code != "":
		return OutcomeError
	case errors.As(err, &answer), errors.Is(err, errNotXML), errors.Is(err, errNotJSON), errors.Is(err, errDoctype), errors.Is(err, errTooBig), kind == transport.KindTooLarge:
		return OutcomeNotThere
	case errors.As(err, &dns) && dns.IsNotFound:
		return OutcomeNoSuchHost
	case errors.Is(err, context.Canceled):
		return OutcomeSkipped
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &network), errors.As(err, &waiting) && waiting.Timeout(),
		kind == transport.KindTimeout, kind == transport.KindRefused, kind == transport.KindUnreachable, kind == transport.KindCut, kind == transport.KindProxy:
		return OutcomeNoAnswer
	}
	return OutcomeError
}

// textOf says an error in one line.
func textOf(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, context.Canceled):
		return "given up"
	}
	return transport.CleanText(err.Error(), 500)
}

// fatalOnly returns err if it is fatal.
func fatalOnly(err error) error {
	if fatal(err) {
		return err
	}
	return nil
}

// fatal reports whether an error ends the search: every further sign-in would be
// another failed one.
func fatal(err error) bool {
	var (
		wrong  *winauth.WrongPasswordError
		locked *winauth.LockedError
	)
	return errors.As(err, &wrong) || errors.As(err, &locked)
}
