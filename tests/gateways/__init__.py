"""Real programs of gateways, with a radio made of a socket: LoRa Basics Station and Semtech's packet forwarder."""
