// A web application that installs the npm package. The test adds the two components, which are the
// samples of docs/frontend.md, and simulates the sign-in: it sets the response of /token.

import { Component, StrictMode, type ReactNode } from "react";
import { createRoot } from "react-dom/client";
import { Integrations } from "./Integrations";
import { VaultButton } from "./VaultButton";

const baseUrl = "https://vault.example.com";

async function getAccessToken(renew = false): Promise<string> {
  const response = await fetch(renew ? "/token/new" : "/token");
  if (response.status !== 200) throw new Error("The sign-in was lost.");
  return response.text();
}

class Boundary extends Component<{ children: ReactNode }, { failure?: string }> {
  override state: { failure?: string } = {};

  static getDerivedStateFromError(error: unknown): { failure: string } {
    return { failure: String(error) };
  }

  override render(): ReactNode {
    return this.state.failure ? <h1>{this.state.failure}</h1> : this.props.children;
  }
}

function App() {
  const cookie = location.hash === "#cookie";
  const vault = cookie
    ? ({ baseUrl, credentials: "include" } as const)
    : { baseUrl, token: getAccessToken };
  return (
    <Boundary>
      <Integrations vault={vault} />
      <VaultButton getAccessToken={getAccessToken} />
    </Boundary>
  );
}

createRoot(document.querySelector("#root")!).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
