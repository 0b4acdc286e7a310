"""The name under which scripts of queued jobs call `datajuicer.clusters.element`."""
