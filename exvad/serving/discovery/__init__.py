"""Cameras of the network: which there are (WS-Discovery), and where their streams are (ONVIF)."""
