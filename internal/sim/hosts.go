package sim

import (
	"net"
	"strings"
)

// service is one of the simulated services.
type service string

const (
	serviceLogin      service = "login"
	serviceGraph      service = "graph"
	serviceOutlook    service = "outlook"
	serviceSharePoint service = "sharepoint"
)

func services() []service {
	return []service{serviceLogin, serviceGraph, serviceOutlook, serviceSharePoint}
}

// site is one national cloud: its hosts and how Entra ID describes it.
//
// Source: learn.microsoft.com/graph/deployments and
// learn.microsoft.com/entra/identity-platform/authentication-national-cloud.
type site struct {
	name       string
	login      []string // the first is the preferred name
	graph      string
	outlook    []string
	sharepoint string // suffix
	instance   string // cloud_instance_name in the metadata
	region     string // tenant_region_scope
	subRegion  string // tenant_region_sub_scope
}

func sites() []site {
	return []site{
		{name: "global", login: []string{"login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"}, graph: "graph.microsoft.com",
			outlook: []string{"outlook.office365.com", "outlook.office.com"}, sharepoint: "sharepoint.com", instance: "microsoftonline.com", region: "EU"},
		{name: "usgov", login: []string{"login.microsoftonline.us", "login.usgovcloudapi.net"}, graph: "graph.microsoft.us",
			outlook: []string{"outlook.office365.us"}, sharepoint: "sharepoint.us", instance: "microsoftonline.us", region: "USGov", subRegion: "DODCON"},
		{name: "dod", graph: "dod-graph.microsoft.us",
			outlook: []string{"outlook-dod.office365.us"}, sharepoint: "sharepoint-mil.us", instance: "microsoftonline.us", region: "USGov", subRegion: "DOD"},
		{name: "china", login: []string{"login.partner.microsoftonline.cn", "login.chinacloudapi.cn"}, graph: "microsoftgraph.chinacloudapi.cn",
			outlook: []string{"partner.outlook.cn"}, sharepoint: "sharepoint.cn", instance: "partner.microsoftonline.cn", region: "AS"},
		{name: "bleu", login: []string{"login.sovcloud-identity.fr"}, graph: "graph.svc.sovcloud.fr",
			outlook: []string{"outlook.sovcloud.fr"}, sharepoint: "sovcloud-sharepoint.fr", instance: "sovcloud-identity.fr", region: "EU"},
		{name: "delos", login: []string{"login.sovcloud-identity.de"}, graph: "graph.svc.sovcloud.de",
			outlook: []string{"outlook.sovcloud.de"}, sharepoint: "sovcloud-sharepoint.de", instance: "sovcloud-identity.de", region: "EU"},
	}
}

// PublicHosts lists the host names of the real services that the simulation
// answers for: what a hosts file has to redirect. Wildcards stand for SharePoint.
func PublicHosts() []string {
	var names []string
	for _, s := range sites() {
		names = append(names, s.login...)
		names = append(names, s.graph)
		names = append(names, s.outlook...)
		names = append(names, "*."+s.sharepoint)
	}
	return names
}

// serviceOfHost tells which service and which cloud a public host name belongs to.
func serviceOfHost(hostport string) (service, site, bool) {
	host := bareHost(hostport)
	for _, s := range sites() {
		for _, name := range s.login {
			if host == name {
				return serviceLogin, s, true
			}
		}
		if host == s.graph {
			return serviceGraph, s, true
		}
		for _, name := range s.outlook {
			if host == name {
				return serviceOutlook, s, true
			}
		}
		if strings.HasSuffix(host, "."+s.sharepoint) {
			return serviceSharePoint, s, true
		}
	}
	return "", site{}, false
}

func bareHost(hostport string) string {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// isLoopback reports whether host is this machine; nothing else may be listened on.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
