package onprem

import (
	"net"
	"slices"
	"strconv"
	"strings"
)

// Names of the simulated network.
const (
	Domain           = "corp.test" // DNS name of the domain; the realm is CORP.TEST
	NetBIOS          = "CORP"
	Suffix           = "contoso.example" // alternate UPN suffix, and a mail domain
	DomainController = "dc1." + Domain
	ServerName       = "EXCH01"
	Server           = "exch01." + Domain
	Autodiscover     = "autodiscover." + Domain
	ServerIP         = "192.0.2.20" // the server's address as the company sees it

	SharePointName   = "SHAREPOINT"
	SharePoint       = "sharepoint." + Domain // host of the farm
	CentralAdminPort = 34567
	Portal           = "portal." + Suffix // public name under the fault sp-aam

	routing     = "contoso.mail.onmicrosoft.example" // of mailboxes in Exchange Online
	balancer    = "mail." + Domain                   // a load balancer's name, without any service principal name
	oldServer   = "exch00." + Domain                 // switched off
	sleeping    = "exch99." + Domain                 // takes connections and never says anything
	foreign     = "autodiscover.fabrikam.example"    // of another company
	foreignFarm = "sharepoint.fabrikam.example"      // of another company
)

// nobodyListens is an address where connecting is refused: the port of tcpmux (RFC
// 1078), which only a privileged program could take.
const nobodyListens = "127.0.0.1:1"

// webHosts are the names by which clients reach the Exchange Server. The domains
// themselves lead to no web server, as in most companies.
func webHosts() []string {
	return []string{Server, strings.ToLower(ServerName), Autodiscover, "autodiscover." + Suffix, balancer, foreign, sleeping, ServerIP}
}

// Env are the variables by which a client finds the world: C2CONN_DNS and
// C2CONN_CONNECT_TO (see internal/transport, NewReach), as "NAME=value".
func (w *World) Env() []string {
	return []string{"C2CONN_DNS=" + w.dns.address, "C2CONN_CONNECT_TO=" + strings.Join(w.connectTo(), ",")}
}

// ConnectTo is where a client has to connect for host:port; an address that is not of
// the world stays what it is.
func (w *World) ConnectTo(address string) string {
	for _, entry := range w.connectTo() {
		parts := strings.SplitN(entry, ":", 3)
		if strings.EqualFold(parts[0]+":"+parts[1], address) {
			return parts[2]
		}
	}
	if host, _, err := net.SplitHostPort(address); err == nil && isFarmHost(host) {
		return nobodyListens // where it has no port of its own
	}
	return address
}

func (w *World) connectTo() []string {
	var list []string
	add := func(host string, port int, to string) { list = append(list, host+":"+strconv.Itoa(port)+":"+to) }
	for _, host := range webHosts() {
		add(host, 443, w.exchangeSecure.address)
		add(host, 80, w.exchangePlain.address)
	}
	for _, host := range []string{Domain, Suffix, oldServer} {
		add(host, 443, nobodyListens)
		add(host, 80, nobodyListens)
	}
	return slices.Concat(list, w.farmPorts(), w.controllerPorts())
}

func portOf(address string) int {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return 0
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return port
}
