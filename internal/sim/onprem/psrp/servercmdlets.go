package psrp

import (
	"strings"

	"github.com/c2conn/c2conn/internal/sim/onprem/org"
)

// serverCmdlets are those of servers and of the organisation.
func serverCmdlets(s *Server) []Cmdlet {
	const namespace = "Microsoft.Exchange.Management.SystemConfigurationTasks"
	read := []string{"View-Only Configuration", "Organization Configuration", "Organization Client Access"}
	return []Cmdlet{
		{
			Name: "Get-ExchangeServer", Namespace: namespace, Roles: append([]string{"Monitoring", "Server Health"}, read...), Run: getExchangeServer,
			Parameters: []Parameter{{Name: "Identity", Position: 1, Set: "Identity"}, {Name: "Domain", Set: "Domain"}, {Name: "Status", Type: Switch}, {Name: "DomainController"}},
		},
		{
			Name: "Get-ClientAccessService", Namespace: namespace, Roles: read, Run: getClientAccessService,
			Parameters: []Parameter{
				{Name: "Identity", Position: 1}, {Name: "IncludeAlternateServiceAccountCredentialStatus", Type: Switch},
				{Name: "IncludeAlternateServiceAccountCredentialPassword", Type: Switch, Roles: []string{"Organization Client Access"}}, {Name: "DomainController"},
			},
		},
		{
			Name: "Get-OrganizationConfig", Namespace: namespace, Roles: read, Parameters: []Parameter{{Name: "DomainController"}},
			Run: func(call *Invocation) (Result, *Error) {
				return Result{Objects: []any{directoryObject(call, []string{"Microsoft.Exchange.Data.Directory.Management.OrganizationConfig"}, s.o.Organisation.Name(),
					Property{"Name", s.o.Organisation.Name()}, Property{"Identity", s.o.Organisation.Name()}, Property{"IsMixedMode", false},
					Property{"EwsEnabled", nil}, Property{"EwsApplicationAccessPolicy", nil}, Property{"MapiHttpEnabled", true}, Property{"OAuth2ClientProfileEnabled", false})}}, nil
			},
		},
	}
}

// chooseServers gives the servers that Identity names.
func chooseServers(call *Invocation, keep func(org.Server) bool) ([]org.Server, *Error) {
	identity := call.Text("Identity")
	var list []org.Server
	for _, s := range call.Organisation().Servers() {
		if keep(s) && (identity == "" || like(identity, s.Name) || like(identity, s.FQDN) || strings.EqualFold(identity, s.ID.String())) {
			list = append(list, s)
		}
	}
	if len(list) == 0 && identity != "" && !strings.Contains(identity, "*") {
		return nil, call.notFound(identity)
	}
	return list, nil
}

func getExchangeServer(call *Invocation) (Result, *Error) {
	servers, e := chooseServers(call, func(s org.Server) bool {
		return !call.Has("Domain") || strings.HasSuffix(strings.ToLower(s.FQDN), "."+strings.ToLower(call.Text("Domain")))
	})
	var r Result
	for _, s := range servers {
		role := Enum{Type: "Microsoft.Exchange.Data.Directory.Management.ServerRole", Name: s.Role, Value: 16439}
		switch s.Role {
		case "Mailbox":
			role.Value = 16439 // Mailbox, ClientAccess and what belongs to them since 2016
		case "Edge":
			role.Value = 64
		}
		r.Objects = append(r.Objects, directoryObject(call, []string{
			"Microsoft.Exchange.Data.Directory.Management.ExchangeServer", "Microsoft.Exchange.Data.Directory.ADPresentationObject", "Microsoft.Exchange.Data.Directory.ADObject",
		}, s.Name, []Property{
			{"Name", s.Name}, {"Identity", s.Name}, {"Fqdn", s.FQDN}, {"Domain", call.Organisation().Domain()}, {"AdminDisplayVersion", s.Version},
			{"Edition", Enum{Type: "Microsoft.Exchange.Data.Directory.SystemConfiguration.ServerEditionType", Name: s.Edition, Value: editionNumber(s.Edition)}},
			{"ServerRole", role}, {"IsClientAccessServer", s.Role == "Mailbox"}, {"IsMailboxServer", s.Role == "Mailbox"}, {"IsEdgeServer", s.Role == "Edge"},
			{"IsE15OrLater", true}, {"Site", call.Organisation().Domain() + "/Configuration/Sites/" + s.Site}, {"Guid", s.ID},
			{"ExchangeLegacyDN", "/o=" + call.Organisation().Name() + "/ou=Exchange Administrative Group (FYDIBOHF23SPDLT)/cn=Configuration/cn=Servers/cn=" + s.Name},
		}...))
	}
	return r, e
}

// editionNumber is ServerEditionType; the numbers are unsure.
func editionNumber(name string) int64 {
	return map[string]int64{"Unknown": -1, "Standard": 0, "StandardEvaluation": 1, "Enterprise": 2, "EnterpriseEvaluation": 3, "Coexistence": 4, "CoexistenceEvaluation": 5}[name]
}

// getClientAccessService gives the alternate service account only when it is
// asked for with a switch, as Exchange does.
func getClientAccessService(call *Invocation) (Result, *Error) {
	servers, e := chooseServers(call, func(s org.Server) bool { return !s.EdgeOrOlder && s.Role == "Mailbox" })
	asa := call.Bool("IncludeAlternateServiceAccountCredentialStatus", false) || call.Bool("IncludeAlternateServiceAccountCredentialPassword", false)
	var r Result
	for _, s := range servers {
		var scp, account any
		if s.SCP != "" {
			scp = s.SCP
		}
		if asa {
			text := "Latest: <Not set>, Previous: <Not set>"
			if s.ASA != "" {
				text = "Latest: 3/11/2024 9:30:00 AM, " + s.ASA + ", Previous: <Not set>"
			}
			account = text
		}
		r.Objects = append(r.Objects, directoryObject(call, []string{"Microsoft.Exchange.Data.Directory.Management.ClientAccessServer"}, s.Name,
			Property{"Name", s.Name}, Property{"Identity", s.Name}, Property{"Fqdn", s.FQDN}, Property{"AutoDiscoverServiceCN", s.Name},
			Property{"AutoDiscoverServiceClassName", "ms-Exchange-AutoDiscover-Service"}, Property{"AutoDiscoverServiceInternalUri", scp},
			Property{"AutoDiscoverServiceGuid", "77378f46-2c66-4aa9-a6a6-3e7a48b19596"},
			Property{"AutoDiscoverSiteScope", &Object{
				Types: []string{"Microsoft.Exchange.Data.MultiValuedProperty`1[[System.String, mscorlib, Version=4.0.0.0, Culture=neutral, PublicKeyToken=b77a5c561934e089]]", "System.Object"},
				Base:  List{s.Site},
			}},
			Property{"AlternateServiceAccountConfiguration", account}, Property{"Guid", s.ID}))
	}
	return r, e
}
