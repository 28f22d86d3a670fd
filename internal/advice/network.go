package advice

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/c2conn/c2conn/internal/transport"
)

const urlList = "https://learn.microsoft.com/microsoft-365/enterprise/urls-and-ip-address-ranges"

// networkRows use {host} and {proxy} besides the placeholders of Facts.
var networkRows = sync.OnceValue(func() map[transport.Kind]row {
	return map[transport.Kind]row{
		transport.KindDNS: {
			what:  "The name {host} cannot be resolved.",
			short: "the server's name cannot be resolved",
			why:   "This computer has no connection to a name server, the name server does not know the host, or the cloud's address is misspelt.",
			next:  []string{"Test the name:", "$ nslookup {hostname}", "If the network allows the internet only through a proxy, set it: HTTPS_PROXY=http://proxy.example:8080", "If you defined the cloud yourself, check its addresses: c2conn cloud list", "{again}"},
		},
		transport.KindRefused: {
			what:  "{host} refuses the connection.",
			short: "the server refuses the connection",
			why:   "The computer answers, but no service listens there, or a firewall turns the connection down.",
			next:  []string{"Ask the network team whether a firewall blocks {host}.", "If a proxy is needed, set it: HTTPS_PROXY=http://proxy.example:8080", "{again}"},
		},
		transport.KindUnreachable: {
			what:  "There is no way to {host}.",
			short: "there is no way to the server",
			why:   "The network is down, or a firewall or VPN gives no route.",
			next:  []string{"Check the network connection and the VPN.", "{again}"},
		},
		transport.KindAuthority: {
			what:  "{host} shows a certificate from an authority that this computer does not trust.",
			short: "the server's certificate is not trusted",
			why:   "Usually a proxy or firewall of your organisation inspects encrypted traffic and signs with its own authority. If you do not know of one, somebody may be listening.",
			next:  []string{"Ask the network team for the authority's certificate (PEM), and whether {host} can pass uninspected.", "Make it known to c2conn: SSL_CERT_FILE=/path/to/authorities.pem (the file must hold the usual authorities as well).", "For a cloud you defined, put the authority into its definition (ca_certificate).", "{again}"},
		},
		transport.KindExpired: {
			what:  "The certificate of {host} is expired or not valid yet.",
			short: "the server's certificate is expired or not valid yet",
			why:   "Microsoft's certificates do not run out, so most likely this computer's clock is wrong, or a proxy in between has an old certificate.",
			next:  []string{"Check the date and time of this computer, in UTC as well.", "Switch on time synchronisation (Linux: timedatectl set-ntp true; Windows: w32tm /resync).", "{again}"},
		},
		transport.KindHostName: {
			what:  "The certificate of {host} was issued for another host.",
			short: "the server's certificate is for another host",
			why:   "Something else answered in its place: a guest network, a proxy, or a wrong entry in DNS or the hosts file.",
			next:  []string{"Test the name:", "$ nslookup {hostname}", "Look into the hosts file of this computer.", "{again}"},
		},
		transport.KindTLS: {
			what:  "No secure connection to {host} comes about.",
			short: "no secure connection to the server",
			why:   "The other side speaks no TLS 1.2 or later, or no TLS at all, as some proxies and firewalls do.",
			next:  []string{"Ask the network team what stands between this computer and {host}.", "If you defined the cloud yourself, check the port in its addresses.", "{again}"},
		},
		transport.KindProxy: {
			what:  "The proxy {proxy} did not let the connection through.",
			short: "the proxy did not let the connection through",
			why:   "It cannot be reached, wants a user name and password, or does not allow the host {host}.",
			next:  []string{"Check the variable HTTPS_PROXY; with a password: http://USER:PASSWORD@proxy.example:8080", "Ask the network team to allow {host}, port 443.", "If no proxy is needed for it, name the host in NO_PROXY.", "{again}"},
		},
		transport.KindTimeout: {
			what:  "{host} did not answer in time.",
			short: "no answer in time",
			why:   "The network is slow, a firewall drops the packets without a word, or the service is overloaded.",
			next:  []string{"{again}", "If it stays, ask the network team whether a firewall blocks {host}, port 443.", "If a proxy is needed, set it: HTTPS_PROXY=http://proxy.example:8080"},
		},
		transport.KindCut: {
			what:  "The connection to {host} was cut in the middle.",
			short: "the connection was cut in the middle",
			why:   "A firewall, proxy or VPN ended it, or the service restarted. c2conn tried again as far as that was safe.",
			next:  []string{"{again}", "If it happens each time, ask the network team about {host}."},
		},
		transport.KindTooLarge: {
			what:  "The answer of {host} is larger than any answer of this service.",
			short: "the answer is larger than any real one",
			why:   "Something else answers in its place, or it is disturbed. c2conn stopped reading.",
			next:  []string{"Open https://{host} in a browser on this computer and see what comes.", "{again}"},
		},
		transport.KindOther: {
			what:  "The request to {host} failed.",
			short: "the request failed",
			why:   "The reason is not one that c2conn knows.",
			next:  []string{"Check the network connection.", "{again}"},
		},
	}
})

// deadlineRow is for a time limit of c2conn itself.
var deadlineRow = row{
	what:  "There was no answer within the time limit.",
	why:   "The network is slow, a firewall drops the packets without a word, or the service is overloaded.",
	next:  []string{"{again}", "If it stays, ask the network team whether a firewall blocks the hosts of {cloudtitle}, port 443.", "If a proxy is needed, set it: HTTPS_PROXY=http://proxy.example:8080"},
	link:  urlList,
	class: ClassCheck,
}

var cancelledRow = row{
	what:  "Cancelled.",
	why:   "It was stopped before it ended.",
	next:  []string{"Run it again when you like."},
	class: ClassCancelled,
}

var foreignHostRow = row{
	what:  "c2conn was asked to send a token to a host that it is not meant for, and did not.",
	short: "a token was about to go to a foreign host: not sent",
	why:   "A service named an address outside its own cloud. That is a wrong definition of the cloud, or an attack.",
	next:  []string{"Check the cloud: now it is “{cloud}”.", "$ c2conn cloud list", "If the cloud is right, ask your security team."},
	class: ClassOther,
}

// fromNetwork is the advice for a request without a usable answer.
func fromNetwork(e *transport.Error) judgement {
	if e.Kind == transport.KindCanceled {
		return judgement{row: cancelledRow}
	}
	r, known := networkRows()[e.Kind]
	if !known {
		r = networkRows()[transport.KindOther]
	}
	var asks *transport.ProxyError
	if errors.As(e, &asks) && asks.Status == http.StatusProxyAuthRequired {
		r.what = "The proxy {proxy} wants a user name and password."
		r.short = "the proxy wants a user name and password"
		r.why = "It answered 407 and lets nothing through without them."
	}
	r.class, r.link = ClassOther, urlList
	j := judgement{row: r.at(e.Host, e.Proxy), codes: []string{"network_" + string(e.Kind)}}
	if e.Kind == transport.KindOther && e.Err != nil {
		j.why += " " + sentence(e.Err)
	}
	return j
}

// ended reports whether err is a context's end, and which.
func ended(err error) (cancelled, late bool) {
	return errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded)
}
