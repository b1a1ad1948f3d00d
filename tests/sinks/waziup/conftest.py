from tests.support.waziup_site import no_waiting, server, site, world

__all__ = ["no_waiting", "server", "site", "world"]
