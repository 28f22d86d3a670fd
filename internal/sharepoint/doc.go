// Package sharepoint hides the two dialects of SharePoint Online: REST for a
// site, and the client-side object model (CSOM) for the admin centre, which has
// no REST. Refusals come as JSON of four forms, XML, plain text, a web page of a
// proxy, or inside a 200: all become one error type.
package sharepoint
