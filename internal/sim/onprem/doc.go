// Package onprem is a simulated company network on loopback: an Active Directory
// domain (KDC, LDAP, DNS), an Exchange Server with its web services, Autodiscover and
// remote PowerShell, and a SharePoint farm with its Central Administration.
//
// It hides how these decide: who may sign in by which protocol, what a virtual
// directory of IIS asks for, whom an account may impersonate, what a refusal looks
// like. What SharePoint itself says is in the package sharepoint. It is written from the
// documentation of the services and of their protocols, not from what any one client
// sends, and is never more lenient than they are. What is not documented is marked
// "unsure". Faults are switched on by name, also while the world runs.
//
// It imports nothing of the product. Tests and cmd/c2conn-sim start it:
//
//	world, err := onprem.Start(onprem.Options{Now: time.Now})
//	defer world.Close()
//
// Clients find it through the variables of World.Env: a DNS server, and the loopback
// ports that stand for the well-known ones.
package onprem
