"""The endpoints: one module of routes per resource."""
