package transport

import (
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
)

// Kind says where on the way to a server a request failed.
type Kind string

// The kinds of failure. Everything that fits none of the others is KindOther.
const (
	KindDNS         Kind = "dns"           // the host name cannot be resolved
	KindRefused     Kind = "refused"       // the host answers, but nothing listens on the port
	KindUnreachable Kind = "unreachable"   // no route to the host
	KindAuthority   Kind = "tls-authority" // the certificate comes from an authority that is not trusted
	KindExpired     Kind = "tls-expired"   // the certificate is expired or not valid yet
	KindHostName    Kind = "tls-host-name" // the certificate is for another host
	KindTLS         Kind = "tls"           // any other failure of the TLS handshake
	KindProxy       Kind = "proxy"         // the proxy cannot be reached or refuses
	KindTimeout     Kind = "timeout"       // a time limit passed
	KindCut         Kind = "cut"           // the connection broke while it was in use
	KindTooLarge    Kind = "too-large"     // the answer exceeds the size limit
	KindCanceled    Kind = "canceled"      // the caller gave up
	KindOther       Kind = "other"
)

// Error is a request that got no usable answer. The cause stays within reach
// of errors.As: *net.DNSError, *tls.CertificateVerificationError,
// x509.UnknownAuthorityError, *ProxyError and so on.
type Error struct {
	Kind  Kind
	Host  string // host (and port) that was asked
	Proxy string // host and port of the proxy, empty when none was used
	Tries int    // how often it was tried, at least 1
	Err   error
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func (e *Error) Error() string {
	var s string
	switch e.Kind {
	case KindDNS:
		s = "the name " + e.Host + " cannot be resolved"
	case KindRefused:
		s = e.Host + " refused the connection"
	case KindUnreachable:
		s = e.Host + " cannot be reached"
	case KindAuthority:
		s = "the certificate of " + e.Host + " comes from an authority that this computer does not trust"
	case KindExpired:
		s = "the certificate of " + e.Host + " is expired or not valid yet"
	case KindHostName:
		s = "the certificate of " + e.Host + " was issued for another host"
	case KindTLS:
		s = "no secure connection to " + e.Host
	case KindProxy:
		s = "the proxy " + e.Proxy + " did not let the connection to " + e.Host + " through"
	case KindTimeout:
		s = e.Host + " did not answer in time"
	case KindCut:
		s = "the connection to " + e.Host + " was cut"
	case KindTooLarge:
		s = "the answer of " + e.Host + " is too large"
	case KindCanceled:
		s = "the request to " + e.Host + " was given up"
	default:
		s = "the request to " + e.Host + " failed"
	}
	if e.Tries > 1 {
		s += fmt.Sprintf(" (%d tries)", e.Tries)
	}
	if e.Err != nil && e.Kind != KindCanceled {
		s += ": " + CleanText(e.Err.Error(), 500)
	}
	return s
}

// Timeout reports whether a time limit passed; it makes Error a net.Error's kin.
func (e *Error) Timeout() bool { return e.Kind == KindTimeout }

// ProxyError is a proxy's refusal to open a tunnel.
type ProxyError struct {
	Proxy  string // host and port
	Status int    // HTTP status of the answer to CONNECT, e.g. 407
	Reason string // its text, control characters removed
}

func (e *ProxyError) Error() string {
	if e.Status == http.StatusProxyAuthRequired {
		return fmt.Sprintf("the proxy %s asks for a user name and password (407)", e.Proxy)
	}
	return fmt.Sprintf("the proxy %s answered %d %s", e.Proxy, e.Status, e.Reason)
}

// TooLargeError is an answer bigger than the limit.
type TooLargeError struct{ Limit int64 }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the answer is larger than %d MiB", e.Limit>>20)
}

// FinalError marks an error of a transport beneath New's that sending again does not
// mend, and may do harm: a refused sign-in.
type FinalError struct{ Err error }

func (e *FinalError) Error() string { return e.Err.Error() }

// Unwrap returns what it marks.
func (e *FinalError) Unwrap() error { return e.Err }

// KindOf returns the kind of network failure in err's chain, or "" when err is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}

// classify finds the kind of err. connected says whether a connection to the
// host stood, with TLS, when it failed.
func classify(ctx context.Context, err error, connected bool) Kind {
	var (
		proxy    *ProxyError
		op       *net.OpError
		dns      *net.DNSError
		unknown  x509.UnknownAuthorityError
		roots    x509.SystemRootsError
		host     x509.HostnameError
		invalid  x509.CertificateInvalidError
		verify   *tls.CertificateVerificationError
		header   tls.RecordHeaderError
		alert    tls.AlertError
		large    *TooLargeError
		deadline net.Error
		corrupt  flate.CorruptInputError
	)
	isOp := errors.As(err, &op)
	var final *FinalError
	switch {
	case errors.As(err, &final) && ctx.Err() == nil:
		return KindOther
	case errors.As(err, &large):
		return KindTooLarge
	case errors.Is(ctx.Err(), context.Canceled):
		return KindCanceled
	case errors.As(err, &proxy), isOp && op.Op == "proxyconnect":
		return KindProxy
	case errors.As(err, &dns) && !dns.IsTimeout:
		return KindDNS
	case errors.As(err, &unknown), errors.As(err, &roots):
		return KindAuthority
	case errors.As(err, &host):
		return KindHostName
	case errors.As(err, &invalid):
		if invalid.Reason == x509.Expired {
			return KindExpired
		}
		return KindTLS
	case errors.As(err, &verify), errors.As(err, &header), errors.As(err, &alert):
		return KindTLS
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &deadline) && deadline.Timeout():
		return KindTimeout
	case errors.Is(err, context.Canceled):
		return KindCanceled
	case errors.Is(err, syscall.ECONNREFUSED):
		return KindRefused
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return KindUnreachable
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), errors.As(err, &corrupt),
		strings.Contains(err.Error(), "malformed "): // net/http has no type for an answer that is not HTTP
		return KindOther
	case connected, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed):
		return KindCut
	case isOp && (op.Op == "remote error" || op.Op == "local error"):
		return KindTLS // alerts of crypto/tls come in this form
	default:
		return KindOther
	}
}

// hostOf returns the host and, unless it is 443, the port of u.
func hostOf(u *url.URL) string {
	if u.Port() == "443" {
		return u.Hostname()
	}
	return u.Host
}
