package sim

import (
	"slices"
	"strings"
)

// grant is one application permission of one resource.
type grant struct{ resource, role string }

// backupGrants is what the documentation of an Exchange Online backup asks for.
func backupGrants() []grant {
	return []grant{
		{GraphAppID, "Directory.Read.All"}, {GraphAppID, "Group.Read.All"}, {GraphAppID, "MailboxSettings.ReadWrite"},
		{GraphAppID, "User.Read.All"}, {ExchangeAppID, "full_access_as_app"},
	}
}

// appRoleIDs are the application permissions by resource: SharePoint and Graph
// share some ids, so the resource is part of the key.
//
// Source: learn.microsoft.com/graph/permissions-reference and the service
// principals of the three resources.
func appRoleIDs() map[string]map[string]string {
	return map[string]map[string]string{
		GraphAppID: {
			"Application.Read.All":                   "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30",
			"Application.ReadWrite.All":              "1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9",
			"Application.ReadWrite.OwnedBy":          "18a4783c-866b-4cc7-a460-3d5e5662c884",
			"AppRoleAssignment.ReadWrite.All":        "06b708a9-e830-4db3-a914-8e69da51d44f",
			"Calendars.Read":                         "798ee544-9d2d-430c-a058-570e29e34338",
			"Contacts.Read":                          "089fe4d0-434a-44c5-8827-41ba8a0b17f5",
			"DeviceManagementServiceConfig.Read.All": "06a5fe6d-c49d-46a7-b082-56b1b14103c7",
			"Directory.Read.All":                     "7ab1d382-f21e-4acd-a863-ba3e13f7da61",
			"Directory.ReadWrite.All":                "19dbc75e-c2e2-444c-a770-ec69d8559fc7",
			"Domain.Read.All":                        "dbb9058a-0e50-45d7-ae91-66909b5d4664",
			"Files.Read.All":                         "01d4889c-1287-42c6-ac1f-5d1e02578ef6",
			"Group.Read.All":                         "5b567255-7703-4780-807c-7be8301ae99b",
			"GroupMember.Read.All":                   "98830695-27a2-44f7-8c18-0c3ebc9698f6",
			"Mail.Read":                              "810c84a8-4a9e-49e6-bf7d-12d183f40d01",
			"Mail.ReadWrite":                         "e2a3a72e-5f79-4c64-b1b1-878b674786c9",
			"Mail.Send":                              "b633e1c5-b582-4048-a93e-9f11b44c7e96",
			"MailboxSettings.Read":                   "40f97065-369a-49f4-947c-6a255697ae91",
			"MailboxSettings.ReadWrite":              "6931bccd-447a-43d1-b442-00a195474933",
			"Organization.Read.All":                  "498476ce-e0fe-48b0-b801-37ba7e2685c6",
			"Policy.Read.All":                        "246dd0d5-5bd0-4def-940b-0421030a5b68",
			"RoleManagement.Read.Directory":          "483bed4a-2ad3-4361-a73b-c83ccdbdc53c",
			"Sites.FullControl.All":                  "a82116e5-55eb-4c41-a434-62fe8a61c773",
			"Sites.Manage.All":                       "0c0bf378-bf22-4481-8f81-9e89a9b4960a",
			"Sites.Read.All":                         "332a536c-c7ef-4017-ab91-336970924f0d",
			"Sites.ReadWrite.All":                    "9492366f-7969-46a4-8d15-ed1a20078fff",
			"Sites.Selected":                         "883ea226-0bf2-4a8f-9f9d-92c9162a727d",
			"User.Read.All":                          "df021288-bdef-4463-88db-98f22de89214",
			"User.ReadWrite.All":                     "741f803b-c850-494e-b5df-cde7c675a1ca",
		},
		ExchangeAppID: {
			"full_access_as_app":   "dc890d15-9560-4a4c-9b7f-a736ec74ec40",
			"Exchange.ManageAsApp": "dc50a0fb-09a3-484d-be87-e023b12c6440",
		},
		SharePointAppID: {
			"Sites.FullControl.All":   "678536fe-1083-478a-9c59-b99265e6b0d3",
			"Sites.Manage.All":        "9bff6588-13f2-4c48-bbf2-ddab62256b36",
			"Sites.Read.All":          "d13f72ca-a275-4b96-b789-48ebcc4da984",
			"Sites.ReadWrite.All":     "fbcd29d2-fcca-4405-aded-518d457caae4",
			"Sites.Selected":          "20d37865-089c-4dee-8c41-6967602d4ac8",
			"TermStore.Read.All":      "2a8d57a5-4090-4a41-bf1c-3c621d2ccad3",
			"TermStore.ReadWrite.All": "c8e3537c-ec53-43b9-bed3-b2bd3617ae97",
			"User.Read.All":           "df021288-bdef-4463-88db-98f22de89214",
			"User.ReadWrite.All":      "741f803b-c850-494e-b5df-cde7c675a1ca",
		},
	}
}

// Documented lists that many doors share.
func readApps() []string {
	return []string{"Application.Read.All", "Application.ReadWrite.All", "Application.ReadWrite.OwnedBy", "Directory.Read.All"}
}

// doors is the permission matrix: which application permissions open a method
// on a path (any one of them suffices). Paths in lower case, "{id}" for keys.
//
// Source: the permissions tables of learn.microsoft.com/graph/api, column Application.
func doors() map[string][]string {
	users := []string{"Directory.Read.All", "Directory.ReadWrite.All", "User.Read.All", "User.ReadBasic.All", "User.ReadWrite.All", "User.ReadWrite.CrossCloud",
		"AgentIdUser.ReadWrite.All", "AgentIdUser.ReadWrite.IdentityParentedBy",
		"DeviceManagementApps.Read.All", "DeviceManagementApps.ReadWrite.All", "DeviceManagementConfiguration.Read.All", "DeviceManagementConfiguration.ReadWrite.All",
		"DeviceManagementManagedDevices.Read.All", "DeviceManagementManagedDevices.ReadWrite.All", "DeviceManagementServiceConfig.Read.All", "DeviceManagementServiceConfig.ReadWrite.All"}
	groups := []string{"Directory.Read.All", "Directory.ReadWrite.All", "Group-NestingSupport.ReadWrite.All", "Group-PreferredDataLocation.ReadWrite.All",
		"Group.ManageProtection.All", "Group.Read.All", "Group.ReadBasic.All", "Group.ReadWrite.All", "GroupMember.Read.All"}
	organization := []string{"DeviceManagementConfiguration.Read.All", "DeviceManagementConfiguration.ReadWrite.All", "DeviceManagementServiceConfig.Read.All",
		"DeviceManagementServiceConfig.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All", "Organization.Read.All", "Organization.ReadWrite.All", "User.Read.All"}
	apps := readApps()
	app := append([]string{"Directory.ReadWrite.All"}, apps...)
	write := []string{"Application.ReadWrite.All", "Application.ReadWrite.OwnedBy"}
	writeMore := append([]string{"Directory.ReadWrite.All"}, write...)
	assign := []string{"Application.Read.All", "Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All", "Directory.Read.All"}
	domains := []string{"Directory.Read.All", "Domain.Read.All", "Domain.ReadWrite.All"}
	mailbox := []string{"MailboxSettings.Read", "MailboxSettings.ReadWrite"}
	policy := []string{"Policy.Read.All", "Policy.Read.ApplicationConfiguration", "Policy.ReadWrite.ApplicationConfiguration"}
	memberOf := []string{"Directory.Read.All", "Directory.ReadWrite.All", "Group.Read.All", "Group.ReadBasic.All", "GroupMember.Read.All", "GroupMember.ReadBasic.All", "User.Read.All"}
	siteReaders := []string{"Sites.Read.All", "Sites.ReadWrite.All"}
	return map[string][]string{
		"GET /sites":                                                   siteReaders,
		"GET /sites/{id}":                                              siteReaders,
		"GET /sites/getallsites":                                       siteReaders,
		"GET /organization":                                            organization,
		"GET /organization/{id}":                                       organization,
		"GET /users":                                                   users,
		"GET /users/{id}":                                              users,
		"GET /users/{id}/mailboxsettings":                              mailbox,
		"GET /users/{id}/mailboxsettings/userpurpose":                  mailbox,
		"GET /users/{id}/transitivememberof":                           memberOf,
		"GET /groups":                                                  groups,
		"GET /groups/{id}":                                             append([]string{"Group-XTenantIdentitySync.Read.All"}, groups...),
		"GET /domains":                                                 domains,
		"GET /domains/{id}":                                            domains,
		"GET /applications":                                            apps,
		"POST /applications":                                           append([]string{"AppRegistration.Create"}, write...),
		"GET /applications/{id}":                                       app,
		"PATCH /applications/{id}":                                     write,
		"DELETE /applications/{id}":                                    write,
		"POST /applications/{id}/addpassword":                          writeMore,
		"POST /applications/{id}/removepassword":                       writeMore,
		"POST /applications/{id}/addkey":                               writeMore,
		"POST /applications/{id}/removekey":                            writeMore,
		"GET /applications/{id}/owners":                                app,
		"GET /serviceprincipals":                                       apps,
		"POST /serviceprincipals":                                      writeMore,
		"GET /serviceprincipals/{id}":                                  app,
		"PATCH /serviceprincipals/{id}":                                writeMore,
		"DELETE /serviceprincipals/{id}":                               writeMore,
		"GET /serviceprincipals/{id}/owners":                           app,
		"GET /serviceprincipals/{id}/approleassignments":               app,
		"GET /serviceprincipals/{id}/approleassignedto":                app,
		"POST /serviceprincipals/{id}/approleassignments":              assign,
		"POST /serviceprincipals/{id}/approleassignedto":               assign,
		"GET /serviceprincipals/{id}/approleassignments/{id}":          app,
		"GET /serviceprincipals/{id}/approleassignedto/{id}":           app,
		"DELETE /serviceprincipals/{id}/approleassignments/{id}":       {"AppRoleAssignment.ReadWrite.All"},
		"DELETE /serviceprincipals/{id}/approleassignedto/{id}":        {"AppRoleAssignment.ReadWrite.All"},
		"GET /directory/deleteditems/microsoft.graph.application":      apps,
		"GET /directory/deleteditems/microsoft.graph.serviceprincipal": apps,
		"GET /directory/deleteditems/{id}":                             app,
		"DELETE /directory/deleteditems/{id}":                          write,
		"POST /directory/deleteditems/{id}/restore":                    write,
		"GET /policies/defaultappmanagementpolicy":                     policy,
	}
}

// scopeDoors is the same for delegated tokens. What the signed-in person may do
// comes on top; see graphauthority.go.
//
// Source: the same tables, column Delegated (work or school account).
func scopeDoors() map[string][]string {
	table := doors()
	users := []string{"AgentIdUser.ReadWrite.All", "AgentIdUser.ReadWrite.IdentityParentedBy", "DeviceManagementApps.Read.All", "DeviceManagementApps.ReadWrite.All",
		"DeviceManagementConfiguration.Read.All", "DeviceManagementConfiguration.ReadWrite.All", "DeviceManagementManagedDevices.Read.All",
		"DeviceManagementManagedDevices.ReadWrite.All", "DeviceManagementServiceConfig.Read.All", "DeviceManagementServiceConfig.ReadWrite.All", "Directory.Read.All",
		"Directory.ReadWrite.All", "User.Read.All", "User.ReadBasic.All", "User.ReadWrite.All"}
	me := []string{"AgentIdUser.ReadWrite.All", "AgentIdUser.ReadWrite.IdentityParentedBy", "Directory.Read.All", "Directory.ReadWrite.All", "User.Read", "User.Read.All",
		"User.ReadBasic.All", "User.ReadWrite", "User.ReadWrite.All"}
	memberOf := append([]string{"User.Read"}, table["GET /users/{id}/transitivememberof"]...)
	apps := []string{"Application.Read.All", "Application.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"}
	for route, list := range table {
		switch {
		case strings.HasPrefix(route, "GET ") && slices.Contains(list, "Application.ReadWrite.OwnedBy"):
			table[route] = apps
		case slices.Contains(list, "Application.ReadWrite.OwnedBy"):
			table[route] = slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == "Application.ReadWrite.OwnedBy" })
		}
	}
	delete(table, "GET /sites/getallsites") // for applications only
	table["GET /users"] = users
	table["GET /users/{id}"] = append([]string{"User.Read", "User.ReadWrite"}, users...)
	table["GET /organization"] = append([]string{"User.Read"}, table["GET /organization"]...)
	table["GET /organization/{id}"] = table["GET /organization"]
	table["GET /users/{id}/transitivememberof"] = memberOf
	table["GET /me"] = me
	table["GET /me/mailboxsettings"] = table["GET /users/{id}/mailboxsettings"]
	table["GET /me/memberof"] = []string{"Directory.Read.All", "Directory.ReadWrite.All", "Group.ReadBasic.All", "GroupMember.Read.All", "GroupMember.ReadBasic.All", "User.Read"}
	table["GET /me/memberof/microsoft.graph.directoryrole"] = table["GET /me/memberof"]
	table["GET /me/transitivememberof"] = memberOf
	table["GET /me/transitivememberof/microsoft.graph.directoryrole"] = memberOf
	return table
}
