// The connectors of this web application, with Apideck's ids.

export const GROUPS = [
  {
    unified_api: "accounting",
    title: "Accounting",
    connectors: [
      { service_id: "quickbooks", name: "QuickBooks", purpose: "Turn field hours into invoices" },
      { service_id: "xero", name: "Xero", purpose: "Book expenses from the road" },
      { service_id: "netsuite", name: "NetSuite", purpose: "Match projects with budgets" },
    ],
  },
  {
    unified_api: "crm",
    title: "Customers",
    connectors: [
      { service_id: "hubspot", name: "HubSpot", purpose: "File visits under contacts" },
      { service_id: "salesforce", name: "Salesforce", purpose: "Log visits on opportunities" },
    ],
  },
  {
    unified_api: "hris",
    title: "People",
    connectors: [
      { service_id: "bamboohr", name: "BambooHR", purpose: "Know who is away" },
    ],
  },
];

/** Returns the name of a connector, or undefined for an unknown id. */
export function nameOf(serviceId) {
  const connectors = GROUPS.flatMap((group) => group.connectors);
  return connectors.find((connector) => connector.service_id === serviceId)?.name;
}
