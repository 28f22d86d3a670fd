// Package sharepoint is a simulated farm of SharePoint Server: what its web
// application and Central Administration say to a client that IIS has let in.
//
// It hides the data (site collections in content databases, who may read what) and the
// protocols in which they are told: the site data service (SOAP), the REST service in
// all its formats, the search, pages and login forms. It is written from the
// documentation ([MS-SITEDATS], [MS-OFBA], the REST and the search REST reference) and
// from answers of real servers that others have published, not from what any one client
// sends. What is not documented is marked "unsure".
//
// Sites, ports, certificates and signing in by Windows authentication are the affair of
// its caller, and so are the switches of its faults.
package sharepoint
